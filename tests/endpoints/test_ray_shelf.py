"""Where a worker keeps images until they are fetched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import ray

from pixaris.endpoints.ray.shelf import Shelf


def test_images_beyond_the_room_wait_in_the_object_store(ray_session: None) -> None:
    shelf = Shelf(room=250)
    numbers = [shelf.put(bytes([n]) * 100) for n in range(4)]
    assert [shelf.get(number) for number in numbers] == [bytes([n]) * 100 for n in range(4)]
    assert [isinstance(shelf._images[number], ray.ObjectRef) for number in numbers] == [
        False,
        False,
        True,
        True,
    ]
    shelf.release(numbers[1:3])
    assert [shelf.get(number) is None for number in numbers] == [False, True, True, False]
    shelf.release(numbers[1:3])
    shelf.release([99])
    assert not isinstance(shelf._images[shelf.put(b"x" * 150)], ray.ObjectRef), (
        "what was released gives its room back, once"
    )
    assert isinstance(shelf._images[shelf.put(b"x")], ray.ObjectRef)


def test_many_threads_at_once_get_what_they_put() -> None:
    shelf = Shelf()

    def turn(n: int) -> bool:
        number = shelf.put(b"%d" % n)
        same = shelf.get(number) == b"%d" % n
        shelf.release([number])
        return same and shelf.get(number) is None

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(turn, range(2000)))
    assert shelf._room == Shelf()._room
