"""What 150 and 300 images find in small spaces whose every score is known.

The product's own guide is driven with images in flight: what comes of an image is known after the next ones
were asked for. Masks are real; bowl and ridge were not used to choose any setting.

    python benchmarks/few_images.py [seeds] [images]
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass

import numpy as np
from landscapes import Landscape, bowl, cutout, mask, ridge

from pixaris.search.algorithms.gp.cube import Cube, Dimension, Point
from pixaris.search.algorithms.gp.guide import Guide, Turn
from pixaris.statistics.racing.look import Rules

CLOSE = 0.005
"""A set within this part of the best one's score is found."""


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        regret: How much worse the set it names is than the best.
        close: Whether it is within half a percent of it.
        sets: How many sets were tried.
    """

    regret: float
    close: bool
    sets: int


def search(landscape: Landscape, images: int, in_flight: int, seed: int) -> Found:
    """Search a landscape once."""
    items = landscape.scores.shape[1]
    guide = Guide(_cube(landscape), Rules(items=items), images, None, seed)
    guide.begin([_point(landscape, landscape.baseline)])
    order = np.random.default_rng(1000 + seed).permutation(items)
    flying: deque[Turn] = deque()
    while True:
        turn = guide.next()
        if turn is not None:
            flying.append(turn)
        elif not flying:
            break
        if turn is None or len(flying) >= in_flight:
            landed = flying.popleft()
            place = _place(landscape, guide.points[landed.row])
            guide.record(landed.row, landed.item, float(landscape.scores[place, order[landed.item]]))
    best = guide.best()
    assert best is not None
    named, most = landscape.means[_place(landscape, guide.points[best])], landscape.means.max()
    return Found(float(most - named), bool(named >= (1.0 - CLOSE) * most), len(guide.points))


def _cube(landscape: Landscape) -> Cube:
    levels = enumerate(landscape.levels)
    return Cube(tuple(Dimension(count, place in landscape.categories) for place, count in levels))


def _point(landscape: Landscape, place: int) -> Point:
    index = landscape.index(place)
    return tuple(at / (count - 1) for at, count in zip(index, landscape.levels, strict=True))


def _place(landscape: Landscape, point: Point) -> int:
    return landscape.place(
        [round(at * (count - 1)) for at, count in zip(point, landscape.levels, strict=True)]
    )


def main(seeds: int, images: int) -> None:
    for landscape in (mask(), cutout(), bowl(), ridge()):
        for elsewhere in (False, True):
            for in_flight in (1, 4, 8):
                rows = []
                for seed in range(seeds):
                    anywhere = int(np.random.default_rng(seed).integers(len(landscape.scores)))
                    here = landscape.from_baseline(anywhere) if elsewhere else landscape
                    found = search(here, images, in_flight, seed)
                    rows.append((found.close, found.regret, found.sets))
                close, regret, sets = np.mean(np.array(rows, dtype=float), axis=0)
                baseline = "random baseline" if elsewhere else "its baseline"
                print(
                    f"{landscape.name:<8} {baseline:<16} {images} images, {in_flight} in flight: within 0.5 %"
                    f" in {close:.0%} of searches, mean regret {regret:.4f}, {sets:.0f} sets",
                    flush=True,
                )


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]]
    main(*(given + [5, 150][len(given) :]))
