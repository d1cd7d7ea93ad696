"""What a server says its nodes are: the reply of ``/object_info`` as typed values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pixaris.types import ParamValue

MODEL_SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".gguf", ".onnx", ".pkl")
WIDGET_TYPES = ("INT", "FLOAT", "BOOLEAN", "STRING", "COMBO")
_DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
_MOST_NESTED = 8
"""Choices that hang on choices are followed so deep."""


@dataclass(frozen=True)
class InputSpec:
    """One input of a node class.

    Attributes:
        type: ``INT``, ``FLOAT``, ``BOOLEAN``, ``STRING``, ``COMBO``, or what it must be linked to (``IMAGE``,
            ``MODEL``, …).
        required: Whether the server refuses a prompt without it.
        default: What the user interface fills in, where the server tells.
        min: Smallest value the server accepts, inclusive.
        max: Largest value the server accepts, inclusive.
        options: The choices of a ``COMBO``; empty also where the server tells them only to its own user
            interface.
        upload: Whether it names a file in the server's input folder, which users upload (``image_upload``,
            ``audio_upload``, …).
        multiselect: Whether a ``COMBO`` takes several options.
        remote: Whether the choices are fetched by the user interface, so that any value may be right.
        branches: Of a dynamic combo, option to the inputs that hang on it, by their names below it: with
            ``resize_type`` as "scale dimensions" a node has ``resize_type.width``, too.
    """

    type: str
    required: bool
    default: ParamValue | None = None
    min: float | None = None
    max: float | None = None
    options: tuple[ParamValue, ...] = ()
    upload: bool = False
    multiselect: bool = False
    remote: bool = False
    branches: tuple[tuple[ParamValue, Mapping[str, InputSpec]], ...] = ()

    @property
    def initial(self) -> ParamValue | None:
        """What the user interface fills in; None where that is not known."""
        if self.default is None and self.type == "COMBO" and self.options and not self.upload:
            return self.options[0]
        return self.default

    def branch(self, option: object) -> Mapping[str, InputSpec]:
        """The inputs that hang on an option, by their names below the dynamic combo's."""
        for key, inputs in self.branches:
            if key == option and isinstance(key, bool) == isinstance(option, bool):
                return inputs
        return {}

    @property
    def closed(self) -> bool:
        """Whether a value must be one of `options`."""
        return self.type == "COMBO" and not self.upload and not self.remote

    @property
    def lists_models(self) -> bool:
        """Whether the choices are model files."""
        return (
            self.type == "COMBO" and not self.upload and any(is_model_file(option) for option in self.options)
        )

    @classmethod
    def parse(cls, raw: object, required: bool, depth: int = 0) -> InputSpec:
        """Read ``[type, {…}]``: the second member may be absent, a combo is ``[[…], {…}]`` or ``["COMBO",
        {"options": […]}]``; the options of a dynamic one are ``{"key": …, "inputs": {"required": {…}, …}}``.
        """
        if isinstance(raw, list | tuple):
            parts = raw
        else:
            parts = [raw]
        if parts:
            kind = parts[0]
        else:
            kind = "*"
        details: Mapping[str, object] = parts[1] if len(parts) > 1 and isinstance(parts[1], Mapping) else {}
        options: object = ()
        if isinstance(kind, list | tuple):
            kind, options = "COMBO", kind
        elif kind == "COMBO":
            options = details.get("options", ())
        if kind == _DYNAMIC_COMBO:
            branches = _branches(details.get("options"), depth)
        else:
            branches = ()
        if branches:
            kind, options = "COMBO", [key for key, _ in branches]
        listed = isinstance(options, list | tuple)
        return cls(
            type=kind if isinstance(kind, str) else "*",
            required=required,
            default=_literal(details.get("default")),
            min=_number(details.get("min")),
            max=_number(details.get("max")),
            options=tuple(_literals(options)),
            upload=any(details[key] is True for key in details if key.endswith("_upload")),
            multiselect=bool(details.get("multiselect")),
            remote="remote" in details or "remote_combo" in details or not listed,
            branches=branches,
        )


@dataclass(frozen=True)
class NodeClass:
    """One node class as a server has it.

    Attributes:
        name: The class type.
        inputs: Required and optional inputs by name (hidden ones are the server's own business).
        outputs: Types of its output slots, in order.
        output_node: Whether a prompt may end in it.
    """

    name: str
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    output_node: bool = False

    @classmethod
    def parse(cls, name: str, raw: Mapping[str, object]) -> NodeClass:
        """Read one entry of ``/object_info``; parts that are absent or of another form count as empty."""
        outputs = raw.get("output")
        if isinstance(outputs, list | tuple):
            slots = outputs
        else:
            slots = ()
        return cls(
            name=name,
            inputs=_sections(raw.get("input")),
            outputs=tuple(slot if isinstance(slot, str) else "COMBO" for slot in slots),
            output_node=raw.get("output_node") is True,
        )

    def inputs_with(self, given: Mapping[str, object]) -> dict[str, InputSpec]:
        """The inputs of a node: those of its class, and what hangs on the options that it has chosen.

        Args:
            given: Its inputs.
        """
        found = dict(self.inputs)
        left = [(name, spec) for name, spec in self.inputs.items() if spec.branches]
        while left:
            name, spec = left.pop()
            for below, inner in spec.branch(given.get(name)).items():
                found[f"{name}.{below}"] = inner
                if inner.branches:
                    left.append((f"{name}.{below}", inner))
        return found

    def every_input(self) -> dict[str, InputSpec]:
        """The inputs of the class, and what hangs on any option; of several of one name, the first one's."""
        found: dict[str, InputSpec] = {}
        left = list(self.inputs.items())
        while left:
            name, spec = left.pop(0)
            found.setdefault(name, spec)
            left += [(f"{name}.{below}", one) for _, inner in spec.branches for below, one in inner.items()]
        return found


class ObjectInfo:
    """The node classes of one server. Immutable and picklable.

    Args:
        raw: The reply of ``/object_info``, or several ``/object_info/{Class}`` replies merged.
        files: Model file to what tells its versions apart, where the server tells that.

    Attributes:
        files: As given.
    """

    def __init__(self, raw: Mapping[str, object], files: Mapping[str, str] | None = None) -> None:
        self._classes = {
            name: NodeClass.parse(name, entry) for name, entry in raw.items() if isinstance(entry, Mapping)
        }
        self.files: Mapping[str, str] = dict(files or {})

    def with_files(self, files: Mapping[str, str]) -> ObjectInfo:
        """The same node classes, with model files."""
        changed = ObjectInfo({}, files)
        changed._classes = self._classes
        return changed

    def classes(self) -> tuple[str, ...]:
        """Names of all node classes."""
        return tuple(self._classes)

    def node_class(self, class_type: str) -> NodeClass | None:
        """A node class, or None if the server has no such class."""
        return self._classes.get(class_type)

    def input(
        self, class_type: str, name: str, given: Mapping[str, object] | None = None
    ) -> InputSpec | None:
        """An input's specification, or None if the class or its input is unknown.

        Args:
            class_type: The node's class.
            name: The input; what hangs on an option of a dynamic combo is called ``resize_type.width``.
            given: The node's inputs: of an input that hangs on several options, the one that it has chosen
                counts, else the first.
        """
        known = self._classes.get(class_type)
        if known is None or name in known.inputs or "." not in name:
            if known:
                return known.inputs.get(name)
            return None
        found = known.inputs_with(given or {}).get(name) or known.every_input().get(name)
        around, _, place = name.rpartition(".")
        listing = known.inputs.get(around)
        if found is None and listing is not None and listing.multiselect and place.isdecimal():
            return replace(listing, multiselect=False)  # one of the options that were chosen
        return found

    def model_files(self, name: str) -> frozenset[str]:
        """The model files that the server offers for inputs of a name, with ``_name`` behind it or not."""
        files: set[str] = set()
        for known in self._classes.values():
            for key in (name, f"{name}_name"):
                spec = known.inputs.get(key)
                if spec is not None and spec.lists_models:
                    files.update(option for option in spec.options if isinstance(option, str))
        return frozenset(files)

    def outputs(self, class_type: str) -> tuple[str, ...]:
        """Types of a class's output slots; empty if the class is unknown."""
        known = self._classes.get(class_type)
        if known:
            return known.outputs
        return ()

    def is_output(self, class_type: str) -> bool:
        """Whether a prompt may end in this class."""
        known = self._classes.get(class_type)
        return known is not None and known.output_node

    def __contains__(self, class_type: object) -> bool:
        return class_type in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectInfo) and other._classes == self._classes

    __hash__ = None  # type: ignore[assignment]  # it holds dicts; equality is for tests

    def __repr__(self) -> str:
        return f"ObjectInfo({len(self._classes)} classes)"


def is_model_file(value: object) -> bool:
    """Whether a value looks like the name of a model file."""
    return isinstance(value, str) and value.lower().endswith(MODEL_SUFFIXES)


def types_match(received: str, wanted: str) -> bool:
    """Whether a server links an output of one type to an input of another.

    ``*`` matches all, a comma-separated union matches if one member does. Types that a server works out for
    itself while it validates (``COMFY_…_V3``) count as matching.
    """
    if received == wanted or "*" in (received, wanted) or _is_dynamic(received) or _is_dynamic(wanted):
        return True
    return bool(_members(received) & _members(wanted))


def _members(union: str) -> set[str]:
    return {member.strip() for member in union.split(",")}


def _is_dynamic(kind: str) -> bool:
    return kind.startswith("COMFY_")


def absent_is_fine(spec: InputSpec, name: str, given: Iterable[str]) -> bool:
    """Whether a node may leave an input out: it is optional, or stands in the prompt as its parts
    (``images.image0``).
    """
    if spec.branches:  # its parts are nothing without the option that they hang on
        return not spec.required
    return not spec.required or _is_dynamic(spec.type) or any(key.startswith(f"{name}.") for key in given)


def _sections(raw: object, depth: int = 0) -> dict[str, InputSpec]:
    """Read ``{"required": {name: specification}, "optional": {…}}``."""
    inputs: dict[str, InputSpec] = {}
    for section in ("required", "optional"):
        if isinstance(raw, Mapping):
            specs = raw.get(section)
        else:
            specs = None
        if isinstance(specs, Mapping):
            required = section == "required"
            inputs.update({key: InputSpec.parse(spec, required, depth) for key, spec in specs.items()})
    return inputs


def _branches(raw: object, depth: int) -> tuple[tuple[ParamValue, Mapping[str, InputSpec]], ...]:
    """Read the options of a dynamic combo."""
    if isinstance(raw, list | tuple) and depth < _MOST_NESTED:
        rows = raw
    else:
        rows = ()
    found = []
    for row in rows:
        if isinstance(row, Mapping):
            key = row.get("key")
        else:
            key = None
        if isinstance(key, str | int | float | bool):
            found.append((key, _sections(row.get("inputs"), depth + 1)))
    return tuple(found)


def _literal(raw: object) -> ParamValue | None:
    if isinstance(raw, str | int | float | bool):
        return raw
    return None


def _literals(raw: object) -> list[ParamValue]:
    if isinstance(raw, list | tuple):
        return [value for value in raw if isinstance(value, str | int | float | bool)]
    return []


def _number(raw: object) -> float | None:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return raw
    return None
