"""The plain functions: one experiment run, or a grid of them, from the components and ``args``."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image

from pixaris.cache.base import CacheStore
from pixaris.data_loaders.base import DatasetLoader, load
from pixaris.endpoints.base import Endpoint, EndpointPool
from pixaris.endpoints.local import LocalPool
from pixaris.exceptions import ConfigurationError, PixarisError
from pixaris.experiment.caching import CachingSubmitter, Layer
from pixaris.experiment.eval_sets import placed
from pixaris.experiment.run import ExperimentRun
from pixaris.experiment.setup import RunSetup, seeds_of
from pixaris.experiment.submitters import PoolSubmitter, Submitter, submitter_of
from pixaris.experiment_handlers.base import ExperimentHandler, adapted
from pixaris.generation.base import ImageGenerator, ItemArgs, max_parallel_jobs
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric
from pixaris.results.progress import ProgressListener
from pixaris.results.records import SearchResult
from pixaris.search.search import Search
from pixaris.search.space.hyperparameters import space_of_hyperparameters
from pixaris.search.survey import Survey, graph_of, survey_of
from pixaris.types import RunRecord

Progress = Callable[[RunRecord], None]

_FEWEST = 4
"""Items after which a run is stored again; more when there are many, because storing looks at all of them."""


def generate_images_based_on_dataset(
    data_loader: DatasetLoader,
    image_generator: ImageGenerator,
    experiment_handler: ExperimentHandler,
    metrics: Sequence[BaseMetric],
    args: Mapping[str, Any],
    *,
    pool: EndpointPool | None = None,
    cache: CacheStore | None = None,
    progress: Progress | None = None,
) -> RunRecord:
    """Run an eval set once: generate, score, store. Needs no Ray.

    Args:
        data_loader: Loads the eval set.
        image_generator: Makes the images.
        experiment_handler: Keeps the results.
        metrics: Score the images.
        args: ``project``, ``dataset``, ``experiment_run_name``, ``generation_params``, ``pillow_images``,
            ``workflow_pillow_image``, ``max_parallel_jobs``, ``seeds`` (images of every item, 1 by default),
            and whatever the components need. The names default to the eval set's and the time.
        pool: Runs the requests; by default threads on the generator's own endpoints. It stays open.
        cache: Images that it has are not generated again, and those that are generated are kept in it; by
            default there is none.
        progress: Called with the run as it stands, about once for every four images.

    Returns:
        The run: its images and scores per item, the means in ``metrics``. An item that failed has its error.

    Raises:
        ConfigurationError: All that is wrong, before anything is generated.
        PixarisError: Nothing could go on (no endpoint, account refused); what is done is stored.
    """
    eval_set = placed(load(data_loader, str(args.get("dataset", ""))), image_generator)
    item_args = ItemArgs.of(args)
    own_endpoints: tuple[Endpoint, ...] = ()
    if pool is None and image_generator.uses_endpoints:
        own_endpoints = _endpoints(image_generator)
    survey = survey_of(own_endpoints, graph_of(image_generator))
    if survey.infos:
        image_generator = image_generator.for_servers(list(survey.infos.values()))
    handler = adapted(experiment_handler)
    setup = RunSetup(
        project=str(args.get("project", "default")),
        eval_set=eval_set,
        generator=image_generator,
        metrics=tuple(metrics),
        args=item_args,
        workflow_image=_picture(args.get("workflow_pillow_image")),
        seeds=seeds_of(args),
    )
    _raise_problems(setup, survey, item_args)
    own = _own_pool(own_endpoints, args)
    submitter = _submitter(image_generator, pool or own, cache, max_parallel_jobs(args))
    run = ExperimentRun(setup=setup, submitter=submitter, handler=handler, name=run_name(args))
    try:
        return _go_through(run, progress)
    finally:
        if own is not None:
            own.close()


def run_name(args: Mapping[str, Any]) -> str:
    """What a run is called: as ``args`` say, else by the time."""
    return str(args.get("experiment_run_name") or time.strftime("run_%Y-%m-%d_%H-%M-%S"))


def _raise_problems(setup: RunSetup, survey: Survey, args: ItemArgs) -> None:
    """Raise all that is wrong with the run and its servers; a problem that both tell is told once."""
    problems = list(setup.problems())
    if not survey.has_endpoint:
        problems = [*survey.silences(), *problems]
    choice = setup.generator.choice
    chosen = setup.each()[choice.name(args.params) if choice else ""]
    if chosen.generator.workflow is not None:
        problems += survey.workflow_problems(chosen.generator.workflow, chosen)
    if problems:
        raise ConfigurationError(tuple(dict.fromkeys(problems)))


def _own_pool(endpoints: Sequence[Endpoint], args: Mapping[str, Any]) -> LocalPool | None:
    """Threads for the generator's own endpoints; None where it has none, or somebody else's pool is used."""
    if not endpoints:
        return None
    if args.get("max_parallel_jobs"):
        most = max_parallel_jobs(args)
        endpoints = [_with_at_most(most, endpoint) for endpoint in endpoints]
    return LocalPool(tuple(endpoints))


def _with_at_most(requests: int, endpoint: Endpoint) -> Endpoint:
    """An endpoint that is given so many requests at once; one that works on one after the other has a number
    of its own.
    """
    if endpoint.api.parallel:
        return replace(endpoint, depth=min(endpoint.depth, requests))
    return endpoint


def _submitter(
    generator: ImageGenerator, pool: EndpointPool | None, cache: CacheStore | None, parallel: int
) -> Submitter:
    pooled = None
    if pool is not None and generator.uses_endpoints:
        pooled = PoolSubmitter(generator, pool)
    submitter = submitter_of(generator, pooled, parallel)
    if cache is None:
        return submitter
    return CachingSubmitter(submitter, [Layer(generator.cache_key, cache)])


def _go_through(run: ExperimentRun, progress: Progress | None) -> RunRecord:
    try:
        step = _FEWEST
        while not run.done:
            run.start_ahead(len(run.setup.eval_set))
            record = run.advance(step)
            step = max(_FEWEST, len(record.items) // 20)
            if progress is not None:
                progress(record)
        if any(item.generated for item in run.record("running").items):
            record = run.finish("finished")
        else:
            record = run.finish("failed")
    except PixarisError:
        run.finish("interrupted")
        raise
    except KeyboardInterrupt:
        run.finish("interrupted")
        raise
    if progress is not None:
        progress(record)
    return record


def generate_images_for_hyperparameter_search_based_on_dataset(
    data_loader: DatasetLoader,
    image_generator: ImageGenerator,
    experiment_handler: ExperimentHandler,
    metrics: Sequence[BaseMetric],
    args: Mapping[str, Any],
    *,
    cache: CacheStore | None = None,
    listener: ProgressListener | None = None,
) -> SearchResult:
    """Run an eval set with every combination of ``args["hyperparameters"]``, as a search on Ray.

    Args:
        data_loader: Loads the eval set.
        image_generator: Makes the images; its endpoints are used.
        experiment_handler: Keeps the results of every run.
        metrics: Score the images; the first score that says whether higher is better is the objective, unless
            ``args["objective"]`` names one. Where none says it, ``args["direction"]`` does, and the first
            metric is the objective.
        args: As for `generate_images_based_on_dataset`; ``hyperparameters`` is ``[{node_name, input, value:
            [...]}, …]``; ``experiment_run_name`` is the search's name.
        cache: As for `generate_images_based_on_dataset`.
        listener: Called with how it goes.

    Returns:
        Every run with its scores, the best, and the baseline (the workflow's own values).

    Raises:
        ConfigurationError: All that is wrong, before anything is generated.
    """
    space = space_of_hyperparameters(args.get("hyperparameters") or ())
    if not space.parameters:
        raise ConfigurationError(
            "hyperparameters: name at least one {node_name, input, value: [...]}", "args"
        )
    direction = args.get("direction")
    objective = _objective(metrics, args)
    return Search(
        data_loader=data_loader,
        image_generator=image_generator,
        space=space,
        metrics=metrics,
        objective=objective,
        direction=direction,
        experiment_handler=experiment_handler,
        args={key: value for key, value in args.items() if key != "hyperparameters"},
        endpoints=tuple(args.get("endpoints") or ()),
        project=str(args.get("project", "default")),
        name=str(args.get("experiment_run_name") or "hyperparameter_search"),
        algorithm="grid",
        scheduler="fifo",  # every combination is asked for
        seeds=seeds_of(args),
        results_dir=adapted(experiment_handler).results_dir,
        cache=cache,
    ).run(listener)


def _objective(metrics: Sequence[BaseMetric], args: Mapping[str, Any]) -> str:
    """The score that the runs are compared by: the one that is named, else the first with a direction."""
    if args.get("objective"):
        return str(args["objective"])
    directed = itertools.chain.from_iterable(metric.directions() for metric in metrics)
    objective = next(directed, "")
    if not objective and args.get("direction"):
        objective = next((metric.name for metric in metrics), "")
    if not objective:
        raise ConfigurationError(
            "a search compares scores: give at least one metric that says whether higher is better, with"
            " direction = 'max' or 'min' in its class, or args['direction']",
            "metrics",
        )
    return objective


def _endpoints(generator: ImageGenerator) -> tuple[Endpoint, ...]:
    endpoints = generator.endpoints()
    if not endpoints:
        raise ConfigurationError(f"{type(generator).__name__} has no endpoint; give it one")
    return endpoints


def _picture(image: Image.Image | None) -> EncodedImage | None:
    if image is None:
        return None
    return EncodedImage.of(image)
