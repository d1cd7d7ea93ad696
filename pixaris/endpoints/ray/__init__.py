"""The pool as a Ray actor with endpoint workers: the same core, shared by every trial of a cluster.

Who does what:

- `PoolActor` (`actor`), async, one per search, holds the core. Only metadata passes through it; its waiting
  and control calls run in separate concurrency groups, so that callers who wait can never lock out the answer
  they wait for. Outcomes wait there in `mailbox`es, until their clients have had them.
- `WorkerActor` (`worker`, kept by `workers`), threaded, a few per search, each serving many endpoints: it
  holds the connections and does the I/O. A generated image waits there (`shelf`) until the client has fetched
  it: an outcome says where.
- `PoolKeeper` (`shared.keeper`, found by `shared.pools`) has a pool that several searches share: a detached
  actor, which starts, watches and ends its endpoints as a driver does those of its own search.
- `RayPool` (`pool`) is what a trial (or the driver) holds: an `EndpointPool` whose config, the actor's name,
  travels in a pickle. Its `collector` fetches what was made.

What dies and what follows:

- A worker: the pool actor starts another, which takes over the requests that the dead one left on its
  endpoints.
- The pool actor: Ray starts it again, with new workers; every `RayPool` sees by its mailbox's token that this
  one knows nothing of it, and sends what is unanswered again. The requests of the old workers are taken over,
  or cancelled.
- A process that holds a `RayPool`: it is silent for `Policy.client_limit`; then its requests are cancelled.
- The driver of a search that shares a pool: the pool finds its job ended (`presence`), and cancels the
  requests of the search.
"""

from pixaris.endpoints.ray.managed import ManagedServers
from pixaris.endpoints.ray.messages import NAMESPACE
from pixaris.endpoints.ray.pool import RayPool, RayPoolConfig, start_pool

__all__ = ["NAMESPACE", "ManagedServers", "RayPool", "RayPoolConfig", "start_pool"]
