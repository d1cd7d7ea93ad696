"""Several generators in one search, of any kinds, of which a parameter chooses one for every set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from pixaris.comfyui.graph.alternatives import CHOOSER, CHOSEN
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.endpoints.base import Endpoint
from pixaris.exceptions import ConfigurationError, Problem
from pixaris.generation.base import Choice, Fault, ImageGenerator, ItemArgs, choose
from pixaris.types import EvalSet, GenerationParam, GenerationRequest, ParamValue


class GeneratorChoice(ImageGenerator):
    """Makes every image with the generator that the parameter for ``workflow`` of the node "Generator" names.

    Each request goes to endpoints of its own generator's kind; a generator that makes its images itself is
    called. See `Choice` for which parameters and images are whose.

    Args:
        generators: Name to generator, two or more; the first is the baseline's. None is a choice itself.

    Raises:
        ConfigurationError: There are fewer, or a name cannot be one.
    """

    choice: Choice

    def __init__(self, generators: Mapping[str, ImageGenerator]) -> None:
        bad = [name for name in generators if not name or name == CHOSEN or "/" in name]
        nested = any(one.choice is not None for one in generators.values())
        if bad or nested or len(generators) < 2:
            rule = f"a choice needs two generators or more, with names without / and other than {CHOSEN!r}"
            raise ConfigurationError(
                f"{rule} (got {', '.join(map(repr, generators)) or 'none'})", "generator"
            )
        parts = dict(generators).values()
        self.choice = Choice(dict(generators))
        self.uses_endpoints = any(one.uses_endpoints for one in parts)
        self.charges = any(one.charges for one in parts)
        self.has_nodes = any(one.has_nodes for one in parts)

    @property
    def remarks(self) -> tuple[str, ...]:
        told = [(name, remark) for name, one in self._named() for remark in one.remarks]
        return tuple(f"{name}: {remark}" for name, remark in told)

    def _named(self) -> list[tuple[str, ImageGenerator]]:
        return list(self.choice.generators.items())

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        generator, own = choose(self, ItemArgs.of(args))
        return generator.generate_single_image(own)

    def request(self, args: ItemArgs) -> GenerationRequest:
        generator, own = choose(self, args)
        return generator.request(own)

    def cache_key(self, args: ItemArgs) -> str | None:
        """The chosen generator's; of those that make their images themselves each has keys apart, as two of
        them may be one class with other options.
        """
        generator, own = choose(self, args)
        key = generator.cache_key(own)
        if key is None or generator.uses_endpoints:
            return key
        parts = [type(generator).__qualname__, self.choice.name(args.params), key]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def endpoints(self) -> tuple[Endpoint, ...]:
        found = [endpoint for _, one in self._named() for endpoint in one.endpoints()]
        return tuple({(endpoint.kind, endpoint.url): endpoint for endpoint in found}.values())

    def loads(self, title: str) -> bool:
        owner, _, rest = title.partition("/")
        if owner in self.choice.generators:
            return self.choice.generators[owner].loads(rest)
        return any(one.loads(title) for _, one in self._named())

    def takes_seed(self, args: ItemArgs) -> bool:
        return all(one.takes_seed(self.choice.args(name, args)) for name, one in self._named())

    def fault(self, param: GenerationParam) -> Fault | None:
        """The first fault that one of the generators finds that the parameter is for."""
        for name, one in self._named():
            for own in self.choice.params(name, [param]):
                if fault := _fault(one, own):
                    return fault
        return None

    def own_value(self, node_name: str, input: str) -> ParamValue | None:
        if (node_name, input) == (CHOOSER, CHOSEN):
            return next(iter(self.choice.generators))
        for name, one in self._named():
            own = self.choice.target(name, node_name, input)
            if own is not None and (value := one.own_value(own, input)) is not None:
                return value
        return None

    def cost(self, eval_set: EvalSet, args: ItemArgs) -> float | None:
        name = self.choice.name(args.params)
        return self.choice.generators[name].cost(
            self.choice.eval_set(name, eval_set), self.choice.args(name, args)
        )

    def for_servers(self, object_infos: Sequence[ObjectInfo]) -> GeneratorChoice:
        return GeneratorChoice({name: one.for_servers(object_infos) for name, one in self._named()})

    def for_accounts(self, endpoints: Sequence[Endpoint]) -> GeneratorChoice:
        return GeneratorChoice({name: one.for_accounts(endpoints) for name, one in self._named()})

    def problems(self, eval_set: EvalSet, args: ItemArgs) -> list[Problem]:
        """Those of the generator that is chosen."""
        name = self.choice.name(args.params)
        own = self.choice.args(name, args)
        return self.choice.generators[name].problems(self.choice.eval_set(name, eval_set), own)

    def bound_workflow(self, args: ItemArgs) -> Mapping[str, Any] | None:
        generator, own = choose(self, args)
        return generator.bound_workflow(own)


def _fault(generator: ImageGenerator, param: GenerationParam) -> Fault | None:
    """A generator's fault of a parameter; a workflow's, by trying to bind it."""
    workflow = generator.workflow
    if workflow is None:
        return generator.fault(param)
    try:
        workflow.bind([param], generator.object_info)
    except ConfigurationError as error:
        unknown = not workflow.has(param.node_name)
        return Fault("; ".join(problem.message for problem in error.problems), of_target=unknown)
    return None
