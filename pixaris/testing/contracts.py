"""What every implementation of a seam must do, as functions to call from your own tests.

>>> from pixaris.metrics.similarity import MAEMetric
>>> from pixaris.testing import samples
>>> items = samples.eval_set(3).items
>>> check_metric(MAEMetric(reference="Original"), [item.inputs["Input"].image for item in items], items)

They need no test framework; what does not hold raises `ContractError`, which is an `AssertionError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from pixaris.data_loaders.base import DatasetLoader, load
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.images import digest
from pixaris.metrics.base import NEEDS, BaseMetric, Scale
from pixaris.testing import samples
from pixaris.testing.endpoints import check_endpoint_client, check_endpoint_pool, check_endpoint_source
from pixaris.testing.feedback import check_feedback_handler
from pixaris.testing.generators import check_image_generator
from pixaris.testing.judges import check_judge
from pixaris.testing.rules import ContractError, copied, require
from pixaris.testing.stores import check_cache_store
from pixaris.types import EvalItem, EvalSet, RunRecord


def check_metric(metric: BaseMetric, images: Sequence[Image.Image], items: Sequence[EvalItem]) -> None:
    """Check a metric against the contract of `BaseMetric`.

    Args:
        metric: The metric.
        images: Images that it can score, at least two …
        items: … and their eval items, with the reference folders that it reads.

    Raises:
        ContractError: A rule is broken.
    """
    require(len(images) == len(items) >= 2, "check_metric needs two images or more, and as many items")
    scales = metric.scales()
    _check_facts(metric, items)
    before = [digest(image) for image in images]
    values = _values(metric, images, items)
    require([digest(image) for image in images] == before, "a metric leaves the images as they are")
    for row in values:
        for name, value in row.items():
            if name in scales:
                low, high = scales[name].range
            else:
                low, high = metric.range
            require(low <= value <= high, f"{name} = {value} is outside of the metric's range {(low, high)}")
    names = {name for row in values for name in row}
    unknown = set(metric.directions()) - names
    require(
        not unknown,
        f"directions() names {sorted(unknown)}, which are no scores; the scores are {sorted(names)}",
    )

    travelled = copied(metric)
    require(
        _values(travelled, images, items) == values,
        "a metric gives the same values after pickling (it travels to trials)",
    )
    if metric.per_item:
        with ThreadPoolExecutor(4) as pool:
            again = list(
                pool.map(
                    lambda pair: metric.named(metric.score(*pair)), list(zip(images, items, strict=True)) * 3
                )
            )
        require(again == values * 3, "score() gives the same values when several threads call it at once")


def _check_facts(metric: BaseMetric, items: Sequence[EvalItem]) -> None:
    """What a metric declares of itself."""
    require(bool(metric.name), "a metric has a name")
    for scale in (Scale(metric.direction, metric.range), *metric.scales().values()):
        named = scale.direction in ("max", "min", None)
        require(named, f'direction is "max", "min" or None (got {scale.direction!r})')
        require(scale.range[0] < scale.range[1], f"range is (smallest, largest) (got {scale.range})")
    require(set(metric.needs) <= set(NEEDS), f"needs names some of {', '.join(NEEDS)} (got {metric.needs})")
    require(metric.parallel >= 1, f"parallel is a number of calls, at least 1 (got {metric.parallel})")
    for folder in metric.reference_folders():
        given = all(_has(item, folder) for item in items)
        require(given, f"the items given to check_metric need a folder {folder!r}")


def check_dataset_loader(loader: DatasetLoader) -> EvalSet:
    """Check a loader against the contract of `DatasetLoader`; return what it loaded. One that gives the
    original's list of dicts keeps it as well.

    Raises:
        ContractError: A rule is broken.
    """
    loaded = load(loader)
    require(len(loaded) > 0, "an eval set has items; a loader that finds none raises DatasetError")
    require(
        [item.index for item in loaded.items] == list(range(len(loaded))),
        "items are numbered from 0 in their order",
    )
    names = [item.name for item in loaded.items]
    require(all(names) and len(set(names)) == len(names), f"items have unique names (got {names})")
    for item in loaded.items:
        require(
            (tuple(item.inputs), tuple(item.references)) == (loaded.input_folders, loaded.reference_folders),
            f"every item has an image in every folder; {item.name!r} has {[*item.inputs, *item.references]}",
        )
        require(
            tuple(item.texts) == loaded.columns,
            f"every item has a text in every column; {item.name!r} has {list(item.texts)}",
        )
        for folder, image in {**item.inputs, **item.references}.items():
            require(
                digest(image.image) == image.digest,
                f"{folder} of {item.name!r} does not decode to what its digest says",
            )
    both = set(loaded.input_folders) & set(loaded.reference_folders)
    require(not both, f"a folder is an input or a reference, not both: {sorted(both)}")
    require(
        load(copied(loader)).digest == loaded.digest,
        "loading again gives the same eval set in the same order",
    )
    return loaded


def check_experiment_handler(make_handler: Callable[[Path], ExperimentHandler], folder: Path) -> None:
    """Check a handler against the contract of `ExperimentHandler`.

    Args:
        make_handler: Makes a handler that keeps its results below the folder it is given; called several
            times, as if by several processes.
        folder: An empty folder.

    Raises:
        ContractError: A rule is broken.
    """
    root = folder / "results"
    items = samples.eval_set(4)
    handler = copied(make_handler(root))
    handler.store_results(samples.run_record(items, 0))
    sizes = [_size(root)]
    for done in (1, 2, 4):
        handler.store_results(samples.run_record(items, done, failed={1}))
        sizes.append(_size(root))
    require(sizes == sorted(sizes) and sizes[-1] > sizes[0], "results grow while a run goes on")
    finished = samples.run_record(items, 4, "finished", failed={1})
    handler.store_results(finished)
    _unchanged(root, lambda: handler.store_results(finished), "storing an ended run again changes nothing")
    handler.close()
    _unchanged(
        root, lambda: _store(make_handler(root), finished), "nor does storing it again from another process"
    )

    _unchanged(
        root,
        lambda: _store(make_handler(root), samples.run_record(items, 2, "stopped", id="run-2")),
        "another run of the same name leaves the first as it is",
        may_grow=True,
    )
    interrupted = samples.run_record(items, 2, "interrupted", id="run-3", name="resumed")
    _store(make_handler(root), interrupted)
    size = _size(root)
    _store(make_handler(root), samples.run_record(items, 4, "finished", id="run-3", name="resumed"))
    require(_size(root) > size, "an interrupted run that is resumed goes on")

    odd = EvalSet(
        "../odd: set", tuple(EvalItem(i, name) for i, name in enumerate(("../up", "a/b", "ü" * 200, "CON")))
    )
    named = samples.run_record(
        odd, 4, "finished", id="run-4", name="../../odd/näme " + "x" * 300, project=".."
    )
    _store(make_handler(root), named)
    outside = sorted(path.name for path in folder.iterdir() if path != root)
    require(
        not outside,
        f"nothing is written outside of the handler's folder, whatever things are called (found {outside})",
    )


def _store(handler: ExperimentHandler, run: RunRecord) -> None:
    handler.store_results(run)
    handler.close()


def _values(
    metric: BaseMetric, images: Sequence[Image.Image], items: Sequence[EvalItem]
) -> list[dict[str, float]]:
    if metric.per_item:
        rows = [metric.named(metric.score(image, item)) for image, item in zip(images, items, strict=True)]
    else:
        rows = [metric.named(metric.calculate(images))]
    for row in rows:
        require(all(map(math.isfinite, row.values())), f"values are finite numbers (got {row})")
    # calculate() has no eval set to read references from
    if metric.per_item and not metric.reference_folders():
        means = metric.calculate(images)
        for name in {name for row in rows for name in row}:
            values = [row[name] for row in rows if name in row]
            mean = math.fsum(values) / len(values)
            require(
                math.isclose(means.get(name, math.nan), mean),
                f"calculate() gives the mean of score() for {name!r}",
            )
    return rows


def _has(item: EvalItem, folder: str) -> bool:
    return folder in item.references or folder in item.inputs


def _files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _size(root: Path) -> int:
    return sum(map(len, _files(root).values()))


def _unchanged(root: Path, action: Callable[[], None], rule: str, *, may_grow: bool = False) -> None:
    before = _files(root)
    action()
    after = _files(root)
    changed = [path for path, data in before.items() if not after.get(path, b"").startswith(data)]
    if not may_grow:
        changed += [path for path, data in after.items() if before.get(path) != data]
    require(
        not changed,
        f"{rule}; it changed {', '.join(sorted({str(path.relative_to(root)) for path in changed}))}",
    )


__all__ = [
    "ContractError",
    "check_cache_store",
    "check_dataset_loader",
    "check_endpoint_client",
    "check_endpoint_pool",
    "check_endpoint_source",
    "check_experiment_handler",
    "check_feedback_handler",
    "check_image_generator",
    "check_judge",
    "check_metric",
]
