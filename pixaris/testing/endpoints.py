"""The contracts of what talks to endpoints, runs requests on them, and finds them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from pixaris.endpoints.base import Endpoint, EndpointApi, EndpointClient, EndpointPool
from pixaris.endpoints.discovery import Discovery, Down, Event, Failed, Up
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.local_servers import LocalServers
from pixaris.exceptions import CancelledRequestError, ChargedError, EndpointError, PixarisError, Problem
from pixaris.images import digest
from pixaris.testing.rules import ContractError, copied, eventually, require
from pixaris.types import GeneratedImage, GenerationRequest

_SECONDS = 60.0
_AT_ONCE = 5.0


def check_endpoint_client(
    make_client: Callable[[], EndpointClient],
    requests: Sequence[GenerationRequest],
    *,
    absent: Callable[[], EndpointClient] | None = None,
) -> None:
    """Check a client against the contract of `EndpointClient`.

    Args:
        make_client: Makes a client of an endpoint that works.
        requests: What that endpoint can make: two requests or more, of different items.
        absent: Makes a client of an endpoint that is not there.

    Raises:
        ContractError: A rule is broken.
    """
    require(len({request.item for request in requests}) >= 2, "check_endpoint_client needs two items or more")
    client = make_client()
    client.probe()
    for request in requests:
        _check_image(request, client.run(request), "run")
    try:
        _check_image(requests[0], client.resume(requests[0]), "resume")
    except ChargedError:
        pass  # what may have been sent already is not sent a second time where that is charged
    twice = [*requests, *(replace(request, id=f"{request.id} again") for request in requests)]
    with ThreadPoolExecutor(len(twice)) as threads:
        images = list(threads.map(client.run, twice))
    for request, image in zip(twice, images, strict=True):
        _check_image(request, image, "run, from several threads at once,")
    client.cancel("a request that it does not have")
    _check_cancel(client, requests[0])
    _check_image(requests[1], client.run(requests[1]), "run, after another request was cancelled,")
    found = client.orphans()
    require(all(isinstance(one, str) for one in found), f"orphans() gives request ids (got {found!r})")
    client.cancel_orphans(["a request that it does not have"])
    client.close()
    if absent is not None:
        nobody = absent()
        _check_error(nobody.probe, "probe")
        _check_error(lambda: nobody.run(requests[0]), "run")
        nobody.close()


def _check_cancel(client: EndpointClient, request: GenerationRequest) -> None:
    """A request that is cancelled ends: well, if it was too late, else in the error for that."""
    with ThreadPoolExecutor(1) as threads:
        running: Future[GeneratedImage] = threads.submit(client.run, request)
        deadline = time.monotonic() + _SECONDS
        while not running.done() and time.monotonic() < deadline:
            client.cancel(request.id)
            time.sleep(0.02)
        require(running.done(), "run ends when its request is cancelled")
    error = running.exception()
    allowed = error is None or isinstance(error, CancelledRequestError)
    require(allowed, f"run raises CancelledRequestError when its request is cancelled (got {error!r})")


def _check_error(call: Callable[[], object], what: str) -> None:
    try:
        call()
    except EndpointError:
        return
    except Exception as error:
        # the client under test may raise anything: it is the finding
        raise ContractError(
            f"{what} raises EndpointError where no endpoint is (got {type(error).__name__}: {error})"
        ) from error
    raise ContractError(f"{what} raises EndpointError where no endpoint is")


def _check_image(request: GenerationRequest, image: GeneratedImage, what: str) -> None:
    found = (image.request_id, image.item)
    require(found == (request.id, request.item), f"{what} gives the image of its own request (got {found})")
    require(digest(image.image.image) == image.image.digest, f"{what} gives an image that its digest tells")
    _check_url(image.endpoint, "an image's endpoint")
    require(image.seconds >= 0, f"an image takes 0 seconds or more (got {image.seconds})")
    require(image.cost is None or image.cost >= 0, f"an image costs 0 or more, or None (got {image.cost})")


def _check_url(url: str, what: str) -> None:
    require(bool(url) and "@" not in urlsplit(url).netloc, f"{what} is its URL, without credentials")


def _emitted(pool: EndpointPool) -> list[str]:
    """Which of the events are the contract's own: what happens to endpoints may come before and after."""
    return [sentence for sentence in pool.status().events if sentence in ("first", "second")]


def check_endpoint_pool(
    open_pool: Callable[[], EndpointPool], endpoint: Endpoint, requests: Sequence[GenerationRequest]
) -> None:
    """Check a pool against the contract of `EndpointPool`.

    Args:
        open_pool: Opens a pool without endpoints, with limits of seconds; it is closed here.
        endpoint: One that works.
        requests: What that endpoint can make: three requests or more.

    Raises:
        ContractError: A rule is broken.
    """
    require(len(requests) >= 3, "check_endpoint_pool needs three requests or more")
    pool = open_pool()
    _check_joining(pool, endpoint, requests)
    _check_cancelling(pool, endpoint, requests)
    pool.emit("first")
    # Emitted at once, the second could overtake it on its way to another process.
    eventually(lambda: _emitted(pool) == ["first"], "what is emitted is an event", _SECONDS)
    pool.emit("second")
    eventually(lambda: _emitted(pool) == ["first", "second"], "events are kept in their order", _SECONDS)
    number = pool.status().events.index("second")
    since = pool.status(number)
    require(
        (since.first_event, since.events[0]) == (number, "second"),
        "status(since_event) gives the events from that number on",
    )
    _leave(pool, endpoint)
    waiting = pool.submit([requests[0]])
    pool.close()
    _check_cancelled(waiting, "close")
    pool.close()
    try:
        pool.submit([requests[0]])
    except CancelledRequestError:
        return
    raise ContractError("a pool that is closed refuses requests with CancelledRequestError")


def _check_joining(pool: EndpointPool, endpoint: Endpoint, requests: Sequence[GenerationRequest]) -> None:
    futures = pool.submit([*requests, requests[0]])
    require(futures[0] is futures[-1], "the same request, by its id, has one future")
    require(pool.submit([requests[0]])[0] is futures[0], "also in another call, while it is unanswered")
    require(not futures[0].cancel(), "a future cannot be cancelled by itself; the pool's cancel does that")
    eventually(lambda: pool.status().waiting == len(requests), "requests wait for an endpoint", _SECONDS)
    pool.promote([requests[1].id, "a request that it does not have"])
    pool.join(endpoint)
    pool.join(endpoint)
    for request, future in zip(requests, futures, strict=False):
        image = future.result(_SECONDS)
        _check_image(request, image, "a future")
        require(image.endpoint == endpoint.url, "an image names the endpoint that made it")
    status = pool.status()
    counts = (status.done, status.failed, status.waiting, status.fatal)
    require(counts == (len(requests), 0, 0, None), f"every request is answered once (got {counts})")
    urls = [one.url for one in status.endpoints]
    require(urls == [endpoint.url], f"an endpoint that joins twice is there once (got {urls})")


def _check_cancelling(pool: EndpointPool, endpoint: Endpoint, requests: Sequence[GenerationRequest]) -> None:
    _leave(pool, endpoint)
    futures = pool.submit(requests)
    pool.cancel([requests[0].id, "a request that it does not have"])
    _check_cancelled(futures[:1], "cancel")
    require(not futures[1].done(), "cancel touches no other request")
    (again,) = pool.submit([requests[0]])
    require(again is not futures[0], "a request that was cancelled may come again")
    pool.join(endpoint)
    for request, future in zip(requests, [again, *futures[1:]], strict=True):
        _check_image(request, future.result(_SECONDS), "a future")


def _check_cancelled(futures: Sequence[Future[GeneratedImage]], what: str) -> None:
    for future in futures:
        require(future.done(), f"{what} answers at once")
        cancelled = isinstance(future.exception(), CancelledRequestError)
        require(cancelled, f"{what} answers with CancelledRequestError")


def _leave(pool: EndpointPool, endpoint: Endpoint) -> None:
    pool.leave(endpoint.url)
    pool.leave("http://an-endpoint-that-it-does-not-have")
    eventually(lambda: not pool.status().endpoints, "an endpoint that leaves is gone", _SECONDS)


def check_endpoint_source(
    source: EndpointSource, folder: Path, *, seconds: float = _SECONDS
) -> list[Endpoint]:
    """Check a source against the contract of `EndpointSource`: it is run, as a search would run it.

    Args:
        source: A source whose endpoints come up here.
        folder: An empty folder, for logs.
        seconds: How long that may take.

    Returns:
        The endpoints that came up.

    Raises:
        ContractError: A rule is broken.
    """
    _check_value(source)
    endpoints = list(source.endpoints())
    _check_endpoints(endpoints, source)
    discoveries: list[Discovery] = []
    if source.servers():
        discoveries.append(LocalServers(source.servers(), folder))
    found = source.discovery(folder)
    if found is not None:
        require(found is not source.discovery(folder), "discovery() gives another one in every call")
        discoveries.append(found)
    given = bool(endpoints or discoveries)
    require(given, "a source gives endpoints(), servers() or a discovery(), as far as it is not missing()")
    for discovery in discoveries:
        endpoints += _check_discovery(discovery, source, seconds)
    return endpoints


def _check_value(source: EndpointSource) -> None:
    require(copied(source) == source, "a source equals itself after pickling: it is a value")
    require(bool(source.label) and "\n" not in source.label, "a source has a label of one line")
    require(source.count >= 1, f"count is a number of endpoints, from 1 (got {source.count})")
    require(source.slots >= source.count, f"an endpoint has one slot or more (got {source.slots})")
    require(bool(source.api.kind), "a source has an api, which has a kind")
    require(
        copied(source.api) == source.api, "an api equals itself after pickling: it travels with endpoints"
    )
    require(source.limited(None, None).slots == source.slots, "limited() without limits changes nothing")
    limited = source.limited(None, 1)
    require(1 <= limited.slots <= source.slots, "limited() leaves one slot or more, and adds none")
    require(all(isinstance(one, Problem) for one in source.problems(here=True)), "problems() gives problems")
    missing = source.missing()
    require(missing == [], f"the environment has what the source needs (missing: {'; '.join(missing)})")
    require(all(source.identities()), "identities() are words")


def _check_endpoints(endpoints: Sequence[Endpoint], source: EndpointSource) -> None:
    for endpoint in endpoints:
        _check_url(endpoint.url, "the name of an endpoint")
        _check_kind(endpoint, source.api)
    urls = [endpoint.url for endpoint in endpoints]
    require(len(set(urls)) == len(urls), f"every endpoint has a URL of its own (got {urls})")


def _check_kind(endpoint: Endpoint, api: EndpointApi) -> None:
    require(
        endpoint.kind == api.kind, f"endpoints are of the source's kind {api.kind!r} (got {endpoint.kind!r})"
    )


class _Events:
    """Takes a discovery's events, and notes those that come too late."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.events: list[Event] = []
        self.stopped = False
        self.late: list[Event] = []

    def __call__(self, event: Event) -> None:
        with self._lock:
            (self.late if self.stopped else self.events).append(event)

    def up(self) -> list[Endpoint]:
        found: dict[str, Endpoint] = {}
        with self._lock:
            for event in self.events:
                if isinstance(event, Up):
                    found[event.endpoint.url] = event.endpoint
                elif isinstance(event, Down):
                    found.pop(event.url, None)
        return list(found.values())

    def told(self) -> set[str]:
        with self._lock:
            return {event.name for event in self.events if isinstance(event, Up | Failed)}

    def failures(self) -> list[PixarisError]:
        with self._lock:
            return [event.error for event in self.events if isinstance(event, Failed)]


def _check_discovery(discovery: Discovery, source: EndpointSource, seconds: float) -> list[Endpoint]:
    names = discovery.names
    require(len(set(names)) == len(names) > 0, f"a discovery has names, each once (got {names})")
    events = _Events()
    started = time.monotonic()
    try:
        discovery.start(events)
        require(time.monotonic() - started < _AT_ONCE, "start() waits for nothing")
        rule = f"for every name, {', '.join(names)}, a discovery emits Up or Failed"
        eventually(lambda: events.told() >= set(names), rule, seconds)
        eventually(lambda: bool(events.up()), f"endpoints come up here (got {events.failures()})", seconds)
        endpoints = events.up()
        _check_endpoints(endpoints, source)
        require(events.told() <= set(names), f"events have names of the discovery (got {events.told()})")
    finally:
        discovery.stop()
    events.stopped = True
    time.sleep(0.2)
    require(not events.late, f"nothing is emitted after stop() (got {events.late})")
    return endpoints
