"""One prompt on one server: submitted, waited for, cancelled, and what its end means."""
