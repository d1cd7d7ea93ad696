"""A server that speaks the Flux API without a model: for tests, and for a first search without an account.

It checks requests as the API does, counts credits and active tasks, and answers from three addresses: the
API's, a region's (where tasks are polled) and the delivery's (where images lie for a while). Its images are
painted from the request by simple rules.
"""
