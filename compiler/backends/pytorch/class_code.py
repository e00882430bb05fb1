"""What layers ask of the class that they are written into, and of its `forward`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...build.labels import TAKEN
from ...ir.graph import Unit, Value
from ...ir.reads import named_values
from ...layers.base import Code, Layer
from ...layers.held import Held
from ...scalars.expression import ScalarFunction
from ...semantics.number import Number, Reference, is_whole, real, references
from ...semantics.tensor import Tensor
from .file import FileText, python
from .initial import (
    INIT_AS_MADE,
    init_conv_source,
    init_linear_source,
    init_recurrent_source,
    init_table_lines,
    init_vector_lines,
)
from .names import numbered_names, safe_name
from .places import first_weight, size_text
from .statements import ForwardText


@dataclass
class ClassCode(Code):
    """What layers ask of the class they are written into (see `layers.base.Code`).

    `dims_as_arguments`: a block's input dims become arguments of its class instead of what its one caller gave.
    """

    file: FileText
    unit: Unit
    dims_as_arguments: bool = False
    arguments: list[Reference] = field(default_factory=list)
    uses_config: bool = False
    holding: Sequence[Held] = ()
    """What was made in the arguments of the layer that is being constructed."""

    def number(self, n: Number) -> str:
        return python(n, self._name)

    def _name(self, reference: Reference) -> str:
        match reference.kind:
            case "constant":
                self.uses_config = True
                return self.file.constant(reference.name)
            case "dim" if not self.dims_as_arguments and reference.target is not None:
                text = python(reference.target, self._name)
                return text if text.replace(".", "").replace("_", "").isalnum() else f"({text})"
        if reference not in self.arguments:
            self.arguments.append(reference)
        return argument_names(self.arguments)[self.arguments.index(reference)]

    def real(self, n: Number) -> str:
        text = self.number(n)
        if not is_whole(n):
            return text
        return f"float({text})" if any(True for _ in references(n)) else repr(real(n))

    def library(self, name: str, source: str) -> str:
        return self.file.add_library(name, source)

    def imported(self, name: str, module: str) -> str:
        self.file.imported[name] = module
        return name

    def fused(self, layer: Layer, x: Tensor, part: str = "") -> str | None:
        kernels = self.file.kernels
        if kernels is None:
            return None
        from ..triton.choice import NoKernel, variant_for

        try:
            return self.file.add_kernel(kernels.add(variant_for(layer, x, part)), kernels)
        except NoKernel as none:
            kernels.plain[layer.word] = str(none)
            return None

    def init_as_made(self) -> str:
        self.file.functions["init_as_made"] = INIT_AS_MADE
        return "init_as_made"

    def init_linear(self) -> str:
        self.file.functions["init_linear"] = init_linear_source(self.file.scheme)
        return "init_linear"

    def init_conv(self) -> str:
        self.file.functions["init_conv"] = init_conv_source(self.file.scheme)
        return "init_conv"

    def init_recurrent(self) -> str:
        self.file.functions["init_recurrent"] = init_recurrent_source(self.file.scheme)
        return "init_recurrent"

    def init_weight(self, tensor: str) -> list[str]:
        return init_table_lines(self.file.scheme, tensor)

    def init_vector(self, tensor: str) -> list[str]:
        return init_vector_lines(self.file.scheme, tensor)

    def placed_like(self) -> list[str]:
        return []  # where modules are made nothing has come in

    @property
    def held(self) -> Sequence[Held]:
        return self.holding

    @property
    def exporting(self) -> bool:
        return self.file.exporting


@dataclass
class ForwardCode(ForwardText):
    """What layers ask of the `forward` they are called in: numbers with names are kept on `self` by `__init__`.

    A dim that is open until run time is a local of `forward`, under its own name.
    """

    made: ClassCode
    inputs: dict[Value, str]
    """The arguments of `forward`."""
    attributes: dict[str, str] = field(default_factory=dict)
    """What `__init__` works out -> the attribute that holds it."""
    sizes: dict[str, str] = field(default_factory=dict)
    """What `forward` reads off its arguments before anything else -> the local that holds it."""

    def number(self, n: Number) -> str:
        return python(n, self._open_name) if n.value is None else self._kept(self.made.number(n), n)

    def _open_name(self, reference: Reference) -> str:
        if reference.value is not None:
            return self.number(reference)
        there = {value: name for value, name in self.inputs.items() if value not in self.made.unit.optional}
        found = size_text(reference, there)
        if found is None:
            # What is out of reach altogether is told, and shown under its name (`not_emitted`).
            target = reference.target
            return safe_name(reference.name) if target is None else f"({python(target, self._open_name)})"
        if found not in self.sizes:
            taken = {*self.inputs.values(), *map(safe_name, named_values(self.made.unit)), *self.sizes.values()}
            stem = safe_name(reference.name)
            self.sizes[found] = next(name for name in numbered_names(stem) if name not in taken)
        return self.sizes[found]

    def function(self, function: ScalarFunction, tensors: Sequence[str]) -> str:
        return self.made.file.add_function(function, tensors)

    def placed_like(self) -> list[str]:
        """As a float that comes in, or a weight of this unit, is; the dtype of whole numbers says nothing."""
        dtypes = {value: value.type.dtype for value in self.inputs if isinstance(value.type, Tensor)}
        like = next((self.inputs[value] for value, dtype in dtypes.items() if dtype == "float"), None)
        like = like or first_weight(self.made.unit)
        if like is not None:
            return [f"device={like}.device", f"dtype={like}.dtype"]
        return [f"device={name}.device" for name in list(self.inputs.values())[:1]]

    def real(self, n: Number) -> str:
        return self._kept(self.made.real(n), n)

    def _kept(self, text: str, n: Number) -> str:
        if not any(True for _ in references(n)):
            return text
        if text not in self.attributes:
            self.attributes[text] = self._free(n.name if isinstance(n, Reference) else "factor")
        return f"self.{self.attributes[text]}"

    def _free(self, stem: str) -> str:
        taken = {m.name for m in self.made.unit.modules} | set(self.attributes.values()) | TAKEN
        return next(name for name in numbered_names(stem) if name not in taken)

    def library(self, name: str, source: str) -> str:
        return self.made.library(name, source)

    def imported(self, name: str, module: str) -> str:
        return self.made.imported(name, module)

    def fused(self, layer: Layer, x: Tensor, part: str = "") -> str | None:
        return self.made.fused(layer, x, part)

    def init_as_made(self) -> str:
        return self.made.init_as_made()

    def init_linear(self) -> str:
        return self.made.init_linear()

    def init_conv(self) -> str:
        return self.made.init_conv()

    def init_recurrent(self) -> str:
        return self.made.init_recurrent()

    def init_weight(self, tensor: str) -> list[str]:
        return self.made.init_weight(tensor)

    def init_vector(self, tensor: str) -> list[str]:
        return self.made.init_vector(tensor)

    @property
    def held(self) -> Sequence[Held]:
        return self.made.holding

    @property
    def exporting(self) -> bool:
        return self.made.exporting


_IN_CLASSES = frozenset(
    {"self", "config", "super", "nn", "torch", "math", "range", "round", "float", "min", "max", "abs"}
)
"""What the code of a class names itself, so that no argument may hide it."""


def argument_names(references: Sequence[Reference]) -> list[str]:
    """Arguments of a class: a parameter under its own name, a dim of the signature in small letters."""
    names: list[str] = []
    for reference in references:
        name = reference.name.lower()
        stem = f"{name}_" if name in _IN_CLASSES else name
        names.append(next(name for name in numbered_names(stem) if name not in names))
    return names
