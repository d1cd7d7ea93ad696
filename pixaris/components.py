"""The composition root: names in a search file become objects.

A component is named by a short name of the tables below, or as ``module:Class`` for the user's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pixaris.cache.base import CacheStore
from pixaris.cache.bucket import BucketCache
from pixaris.cache.local import LocalCache, size_of
from pixaris.config import Config
from pixaris.data_loaders.base import DatasetLoader
from pixaris.data_loaders.gcp import BucketDatasetLoader, folder_of
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.data_loaders.prompts import PromptDatasetLoader
from pixaris.exceptions import ConfigurationError, Problem, WorkflowError
from pixaris.experiment_handlers.base import ExperimentHandler, ExperimentHandlers
from pixaris.feedback_handlers.base import FeedbackHandler
from pixaris.feedback_handlers.bigquery import BigqueryFeedbackHandler
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.gcp.storage import BucketPath
from pixaris.generation.base import ImageGenerator, load_node
from pixaris.generation.choice import GeneratorChoice
from pixaris.generation.comfyui import ComfyGenerator, alternatives
from pixaris.metrics.base import BaseMetric
from pixaris.plugins import make, resolve
from pixaris.results.paths import SearchPaths
from pixaris.search.file.components import DatasetSpec, GeneratorSpec
from pixaris.search.file.reader import ComponentSpec
from pixaris.search.file.spec import SearchSpec
from pixaris.search.problems import collect
from pixaris.search.settings import Keeping, SearchSettings
from pixaris.terminal import counting

METRICS: Mapping[str, str] = {
    "iou": "pixaris.metrics.iou:IoUMetric",
    "ssim": "pixaris.metrics.similarity:SSIMMetric",
    "psnr": "pixaris.metrics.similarity:PSNRMetric",
    "mae": "pixaris.metrics.similarity:MAEMetric",
    "ciede2000": "pixaris.metrics.color_difference:ColorDifferenceMetric",
    "phash": "pixaris.metrics.perceptual_hash:PerceptualHashMetric",
    "dice": "pixaris.metrics.overlap:DiceMetric",
    "precision_recall": "pixaris.metrics.overlap:PrecisionRecallMetric",
    "boundary_f": "pixaris.metrics.boundary:BoundaryFMetric",
    "luminescence": "pixaris.metrics.luminescence:LuminescenceWithoutMaskMetric",
    "luminescence_difference": "pixaris.metrics.luminescence:LuminescenceComparisonByMaskMetric",
    "saturation": "pixaris.metrics.saturation:SaturationWithoutMaskMetric",
    "saturation_difference": "pixaris.metrics.saturation:SaturationComparisonByMaskMetric",
    "sharpness": "pixaris.metrics.appearance:SharpnessMetric",
    "colorfulness": "pixaris.metrics.appearance:ColorfulnessMetric",
    "contrast": "pixaris.metrics.appearance:ContrastMetric",
    "seconds": "pixaris.metrics.resources:SecondsMetric",
    "cost": "pixaris.metrics.resources:CostMetric",
    "votes": "pixaris.metrics.votes:VotesMetric",
    "llm": "pixaris.metrics.llm:LLMMetric",
    "llm_reality": "pixaris.metrics.llm:LLMRealityMetric",
    "llm_similarity": "pixaris.metrics.llm:LLMSimilarityMetric",
    "llm_errors": "pixaris.metrics.llm:LLMErrorsMetric",
    "llm_style": "pixaris.metrics.llm:LLMStyleMetric",
    "llm_adherence": "pixaris.metrics.llm_adherence:LLMAdherenceMetric",
    "llm_preference": "pixaris.metrics.llm_preference:LLMPreferenceMetric",
    "llm_custom": "pixaris.metrics.llm_custom:LLMCustomMetric",
    "clip_score": "pixaris.metrics.learned.clip:CLIPScoreMetric",
    "clip_similarity": "pixaris.metrics.learned.clip:CLIPSimilarityMetric",
    "dino_similarity": "pixaris.metrics.learned.dino:DINOSimilarityMetric",
    "lpips": "pixaris.metrics.learned.lpips:LPIPSMetric",
    "ms_ssim": "pixaris.metrics.learned.ms_ssim:MSSSIMMetric",
    "quality": "pixaris.metrics.learned.quality:QualityMetric",
    "aesthetic": "pixaris.metrics.learned.quality:AestheticMetric",
}
_FLUX: Mapping[str, str] = {
    "flux_fill": "FluxFillGenerator",
    "flux_fill_finetuned": "FluxFillFinetunedGenerator",
    "flux_expand": "FluxExpandGenerator",
    "flux_pro_1_1": "FluxProGenerator",
    "flux_ultra": "FluxUltraGenerator",
    "flux_ultra_finetuned": "FluxUltraFinetunedGenerator",
    "flux_dev": "FluxDevGenerator",
    "flux_kontext_pro": "FluxKontextProGenerator",
    "flux_kontext_max": "FluxKontextMaxGenerator",
    "flux_2_pro": "Flux2ProGenerator",
    "flux_2_pro_preview": "Flux2ProPreviewGenerator",
    "flux_2_max": "Flux2MaxGenerator",
    "flux_2_flex": "Flux2FlexGenerator",
    "flux_2_flex_outpainting": "Flux2FlexOutpaintingGenerator",
    "flux_2_klein_4b": "Flux2Klein4BGenerator",
    "flux_2_klein_9b": "Flux2Klein9BGenerator",
    "flux_2_klein_9b_preview": "Flux2Klein9BPreviewGenerator",
    "flux_3_image": "Flux3ImageGenerator",
}
GENERATORS: Mapping[str, str] = {
    "comfyui": "pixaris.generation.comfyui:ComfyGenerator",
    **{name: f"pixaris.generation.flux:{cls}" for name, cls in _FLUX.items()},
}


def assemble(spec: SearchSpec, problems: list[Problem], *, trust: bool = True) -> SearchSettings | None:
    """Make a search from its file.

    Args:
        spec: The file's content.
        problems: What is wrong with it is added, each with the dotted path of its setting.
        trust: Whether classes of the user's own may be imported, which runs their modules; else they are left
            out.

    Returns:
        The search, also of a file with problems as far as it can be made, so that more of them can be found;
        None if not.
    """
    if not trust and any(map(is_foreign, spec.generator.types.values())):
        return None
    generator = _generator(spec, problems)
    named = [one for one in spec.metrics if trust or not is_foreign(one.type)]
    metrics = [metric for one in named if (metric := _metric(one, problems)) is not None]
    if generator is None:
        return None
    config = Config.load()
    return SearchSettings(
        home=spec.home,
        data_loader=_loader(spec, config, _references(spec.dataset, metrics, generator)),
        generator=generator,
        sources=spec.endpoints,
        space=spec.space,
        metrics=tuple(metrics),
        objective=spec.objective,
        strategy=spec.search,
        limits=spec.limits,
        images=spec.images,
        evidence=spec.evidence,
        keeping=Keeping(
            handler=partial(files_and_events, spec.home.results),
            cache=_cache(spec, config),
            source=spec.source.path,
            changes=spec.source.changes,
            feedback=_feedback(metrics, config, spec.home.results, problems),
        ),
    )


def _feedback(
    metrics: Sequence[BaseMetric], config: Config, results: Path, problems: list[Problem]
) -> FeedbackHandler | None:
    """What keeps the votes of a search that votes steer; None of all others."""
    if all(metric.voting() is None for metric in metrics):
        return None
    return collect(problems, lambda: feedback_handler(config, results), "metrics")


def is_foreign(name: str) -> bool:
    """Whether a component's name is ``module:Class``, of the user's own."""
    return ":" in name


def _cache(spec: SearchSpec, config: Config) -> CacheStore | None:
    if not spec.cache.used:
        return None
    near = cache_of(config)
    if spec.cache.shared is None:
        return near
    return bucket_cache(spec.cache.shared, near, config)


def bucket_cache(place: BucketPath, near: CacheStore, config: Config) -> BucketCache:
    """The cache in a bucket, within the installation's limit.

    Raises:
        ConfigurationError: Its size is no size.
    """
    if not config.cache_bucket_size:
        return BucketCache(place, near, config.gcp_project_id)
    try:
        limit = size_of(config.cache_bucket_size)
    except ConfigurationError as error:
        problems = [Problem("cache_bucket_size", problem.message) for problem in error.problems]
        raise ConfigurationError(problems, "configuration") from None
    return BucketCache(place, near, config.gcp_project_id, limit)


def cache_of(config: Config) -> LocalCache:
    """The cache of the installation.

    Raises:
        ConfigurationError: Its size is no size.
    """
    try:
        return LocalCache(config.cache_dir, size_of(config.cache_size))
    except ConfigurationError as error:
        raise ConfigurationError(
            [Problem("cache_size", problem.message) for problem in error.problems], "configuration"
        ) from None


def feedback_handler(config: Config, results: Path) -> FeedbackHandler:
    """What keeps feedback: BigQuery where its table is configured, else a database beside the results.

    Raises:
        ConfigurationError: The table's name is none, or no bucket is configured for its images.
    """
    if not config.gcp_bq_feedback_table:
        return LocalFeedbackHandler(results)
    bucket = config.gcp_feedback_bucket or config.gcp_pixaris_bucket_name
    if not bucket:
        raise ConfigurationError("feedback in BigQuery needs a bucket for images: set gcp_feedback_bucket")
    return BigqueryFeedbackHandler(config.gcp_project_id, config.gcp_bq_feedback_table, bucket, results)


def files_and_events(results: Path, folder: Path) -> ExperimentHandler:
    """What a search or run from a file keeps: files, and TensorBoard events beside them.

    Args:
        results: The results folder.
        folder: The search's (or run's) folder in it.
    """
    from pixaris.experiment_handlers.local import LocalExperimentHandler
    from pixaris.experiment_handlers.tensorboard import TensorboardHandler

    events = TensorboardHandler(SearchPaths(folder).tensorboard, search=folder)
    return ExperimentHandlers([LocalExperimentHandler(results), events])


def _generator(spec: SearchSpec, problems: list[Problem]) -> ImageGenerator | None:
    if spec.generator.choice:
        return _alternatives(spec.generator.choice, problems)
    return _one_generator(spec.generator, "generator", problems)


def _alternatives(choice: Mapping[str, GeneratorSpec], problems: list[Problem]) -> ImageGenerator | None:
    """Several generators as one, of which a parameter chooses; of ComfyUI workflows alone, one workflow."""
    made = {name: _one_generator(one, f"generator.choice.{name}", problems) for name, one in choice.items()}
    found = {name: one for name, one in made.items() if one is not None}
    if len(found) < len(made):
        return None  # the reasons are among the problems
    workflows = {name: one for name, one in found.items() if type(one) is ComfyGenerator}
    if len(workflows) == len(found):
        return collect(problems, lambda: alternatives(workflows), "generator.choice")
    return collect(problems, lambda: GeneratorChoice(found), "generator.choice")


def _one_generator(given: GeneratorSpec, where: str, problems: list[Problem]) -> ImageGenerator | None:
    options: dict[str, object] = dict(given.options)
    if given.workflow is not None:
        options["workflow_apiformat_json"] = given.workflow
    if given.type in _FLUX and options:
        names = ", ".join([*given.options, *(["workflow"] if given.workflow is not None else [])])
        way_out = (
            "what is asked for stands under generation_params or parameters, the account under endpoints"
        )
        problems.append(Problem("", f"{given.type} takes no options (got {names}); {way_out}", where))
        options = {}
    component = ComponentSpec(given.type, options, where)
    return _made(component, GENERATORS, ImageGenerator, problems)  # type: ignore[no-any-return]


def _metric(given: ComponentSpec, problems: list[Problem]) -> BaseMetric | None:
    return _made(given, METRICS, BaseMetric, problems)  # type: ignore[no-any-return]


def _made(given: ComponentSpec, known: Mapping[str, str], base: type, problems: list[Problem]) -> Any:  # noqa: ANN401  (an instance of `base`)
    if not given.type:
        return None  # its absence is a problem already
    try:
        return make(resolve(given.type, known, base), given.options)
    except ConfigurationError as error:
        if isinstance(error, WorkflowError):
            where = error.source
        else:
            where = ""
        for problem in error.problems:
            place = ", ".join(part for part in (where, problem.where) if part)
            problems.append(Problem(place, problem.message, given.where))
        return None


def _references(
    dataset: DatasetSpec, metrics: list[BaseMetric], generator: ImageGenerator
) -> tuple[str, ...]:
    """Folders that only metrics see: those the file names, and those that metrics read and no node loads."""
    read = [folder for metric in metrics for folder in metric.reference_folders()]
    unfed = [folder for folder in read if not generator.loads(load_node(folder))]
    return tuple(dict.fromkeys([*dataset.references, *unfed]))


def _loader(spec: SearchSpec, config: Config, references: tuple[str, ...]) -> DatasetLoader:
    dataset = spec.dataset
    if dataset.url:
        return BucketDatasetLoader(
            dataset.url,
            folder_of(dataset.url, config.eval_dir_local),
            gcp_project_id=config.gcp_project_id,
            references=references,
            progress=counting("received"),
        )
    if dataset.prompts is not None:
        return PromptDatasetLoader(dataset.prompts, dataset.columns, references)
    if dataset.path is not None:
        return LocalDatasetLoader.at(dataset.path, references=references)
    return LocalDatasetLoader(spec.home.project, dataset.name, config.eval_dir_local, references)
