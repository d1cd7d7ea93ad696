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
from pixaris.experiment.submitters import PoolSubmitter, submitter_of
from pixaris.experiment_handlers.base import ExperimentHandler, adapted
from pixaris.generation.base import ImageGenerator, ItemArgs, max_parallel_jobs
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric
from pixaris.results.progress import ProgressListener
from pixaris.results.records import SearchResult
from pixaris.search.search import Search
from pixaris.search.space.hyperparameters import space_of_hyperparameters
from pixaris.search.survey import graph_of, survey_of
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
    if pool is None and image_generator.uses_endpoints:
        own_endpoints = _endpoints(image_generator)
    else:
        own_endpoints = ()
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
    problems = [*([] if survey.has_endpoint else survey.silences()), *setup.problems()]
    chosen = setup.each()[image_generator.choice.name(item_args.params) if image_generator.choice else ""]
    if chosen.generator.workflow is not None:
        problems += survey.workflow_problems(chosen.generator.workflow, chosen)
    if problems:
        raise ConfigurationError(tuple(dict.fromkeys(problems)))
    parallel = max_parallel_jobs(args)
    if args.get("max_parallel_jobs"):  # a server that works on one request after the other has its own number
        own_endpoints = tuple(
            replace(e, depth=min(e.depth, parallel)) if e.api.parallel else e for e in own_endpoints
        )
    if own_endpoints:
        own = LocalPool(own_endpoints)
    else:
        own = None
    shared = pool or own
    pooled = None
    if shared is not None and image_generator.uses_endpoints:
        pooled = PoolSubmitter(image_generator, shared)
    submitter = submitter_of(image_generator, pooled, parallel)
    if cache is not None:
        submitter = CachingSubmitter(submitter, [Layer(image_generator.cache_key, cache)])
    name = str(args.get("experiment_run_name") or time.strftime("run_%Y-%m-%d_%H-%M-%S"))
    run = ExperimentRun(setup=setup, submitter=submitter, handler=handler, name=name)
    try:
        return _go_through(run, progress)
    finally:
        if own is not None:
            own.close()


def _go_through(run: ExperimentRun, progress: Progress | None) -> RunRecord:
    try:
        step = _FEWEST
        while not run.done:
            run.start_ahead(len(run.setup.eval_set))
            record = run.advance(step)
            step = max(_FEWEST, len(record.items) // 20)
            if progress is not None:
                progress(record)
        record = run.finish(
            "finished" if any(item.generated for item in run.record("running").items) else "failed"
        )
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
    scores = itertools.chain.from_iterable(metric.directions() for metric in metrics)
    direction = args.get("direction")
    if direction:
        undirected = [metric.name for metric in metrics]
    else:
        undirected = []
    objective = str(args.get("objective") or next(itertools.chain(scores, undirected), ""))
    if not objective:
        raise ConfigurationError(
            "a search compares scores: give at least one metric that says whether higher is better, with"
            " direction = 'max' or 'min' in its class, or args['direction']",
            "metrics",
        )
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


def _endpoints(generator: ImageGenerator) -> tuple[Endpoint, ...]:
    endpoints = generator.endpoints()
    if not endpoints:
        raise ConfigurationError(f"{type(generator).__name__} has no endpoint; give it one")
    return endpoints


def _picture(image: Image.Image | None) -> EncodedImage | None:
    if image is None:
        return None
    return EncodedImage.of(image)
