"""reshape: the same entries in another shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from ..semantics.arithmetic import spell
from ..semantics.number import (
    Literal,
    Number,
    Operation,
    Reference,
    divides,
    equal,
    number,
    operation,
    product,
    whole,
    written,
)
from ..semantics.tensor import Tensor
from .base import Code, Layer, NoOnnxForm, ShapeFault
from .kept import Gives
from .options import NewShape

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Reshape(Layer):
    """`reshape([B, 4, -1])`: the same entries, in order, in another shape; one dim may be -1 and is worked out.

    Dims that are open until run time are written by their names. Both shapes must hold as many entries.
    """

    word: ClassVar[str] = "reshape"
    example: ClassVar[str] = "reshape([B, 4, -1])"
    gives: ClassVar[Gives] = "view"
    example_input: ClassVar[str] = "[B, 8, 16]"

    dims: NewShape

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        free = [dim for dim in self.dims if not is_free(dim)]
        if len(free) == len(self.dims):
            if not equal(product(x.dims), product(self.dims)):
                raise ShapeFault(
                    f"{x} holds {_entries(x.dims)} entries, and {_listed(self.dims)} holds {_entries(self.dims)}",
                    "both must hold as many; one dim may be -1, which is worked out",
                    "dims",
                )
            dims = self.dims
        else:
            rest = quotient(x.dims, free)
            if rest is None:
                raise ShapeFault(
                    f"{x} holds {_entries(x.dims)} entries, which do not divide into {_entries(free)}",
                    "the other dims must divide what comes in for -1 to come out whole",
                    "dims",
                )
            dims = tuple(rest if is_free(dim) else dim for dim in self.dims)
        return (Tensor(x.dtype, dims, names_of(self.dims)),)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        open_dims = [dim for dim in self.dims if not is_free(dim) and dim.value is None]
        alone = len(open_dims) == 1 and not any(map(is_free, self.dims))
        texts = ["-1" if is_free(dim) or (alone and dim.value is None) else code.number(dim) for dim in self.dims]
        return f"{x}.reshape({', '.join(texts)})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        (type_,) = self.infer(x_type)
        return (onnx_reshape(g, x, x_type, type_, name),)


def names_of(dims: Sequence[Number]) -> tuple[str | None, ...]:
    """How axes are called whose dims were written by their Capital names."""
    return tuple(dim.name if isinstance(dim, Reference) and dim.name[0].isupper() else None for dim in dims)


def is_free(dim: Number) -> bool:
    """Whether a dim is -1: what is left."""
    return dim.value == -1


def quotient(dims: Sequence[Number], parts: Sequence[Number]) -> Number | None:
    """The product of `dims` over that of `parts`, where it is certainly whole; equal factors cancel as written."""
    above = [factor for dim in dims for factor in _factors(dim)]
    below: list[Number] = []
    for factor in (factor for part in parts for factor in _factors(part)):
        same = next((i for i, other in enumerate(above) if equal(factor, other)), None)
        if same is None:
            below.append(factor)
        else:
            del above[same]
    n, divisor = _folded(above), _folded(below)
    if divisor.value == 1:
        return n
    if not divisor.value or not divides(divisor, n):
        return None
    plain = [factor for factor in above if isinstance(factor, Literal)]
    if isinstance(divisor, Literal) and plain and divides(divisor, _folded(plain)):
        over = number(whole(_folded(plain)) // whole(divisor))
        return _folded([over, *(factor for factor in above if not isinstance(factor, Literal))])
    return operation("/", n, divisor)


def _folded(factors: Sequence[Number]) -> Number:
    """The product, its plain numbers as one in front."""
    plain = product([number(1), *(factor for factor in factors if isinstance(factor, Literal))])
    rest = [factor for factor in factors if not isinstance(factor, Literal)]
    return product([plain, *rest])


def _factors(dim: Number) -> list[Number]:
    """`16 * H` -> 16, H; what a name stands for is not taken apart."""
    if isinstance(dim, Operation) and dim.operator == "*":
        return [factor for operand in dim.operands for factor in _factors(operand)]
    return [dim]


def onnx_reshape(g: OnnxBuilder, x: OnnxValue, x_type: Tensor, type: Tensor, name: str) -> OnnxValue:
    """`x` in the shape of `type`. Raises NoOnnxForm where more than one dim is open and no axis of `x`."""
    entries: list[int | OnnxValue] = []
    for place, dim in enumerate(type.dims):
        if dim.value is not None:
            entries.append(whole(dim))
        elif place < x_type.rank and equal(dim, x_type.dims[place]):
            entries.append(0)  # as it is in `x`
        elif -1 not in entries and not _along(x_type, dim):
            entries.append(-1)
        else:
            axes = _along(x_type, dim)
            if not axes:
                raise NoOnnxForm("reshape to several dims that are only known at run time")
            entries.append(g.length(x, x_type, axes[0]))
    if all(isinstance(entry, int) for entry in entries):
        shape = g.wholes([entry for entry in entries if isinstance(entry, int)])
    else:
        parts = [g.whole(entry) if isinstance(entry, int) else entry for entry in entries]
        shape = g.op("Concat", parts, Tensor("int", (number(len(parts)),)), f"{name}.shape", axis=0)
    return g.op("Reshape", [x, shape], type, name)


def _along(x: Tensor, dim: Number) -> list[int]:
    """The axes of `x` that are as long."""
    return [axis for axis, other in enumerate(x.dims) if equal(dim, other)]


def _entries(dims: Sequence[Number]) -> str:
    """`B * 8 * 16`, or how many they are."""
    if all(dim.value is not None for dim in dims):
        total = product([number(whole(dim)) for dim in dims])
        return spell(total.value)  # type: ignore[arg-type]
    return " * ".join(written(dim) if not isinstance(dim, Operation) else f"({written(dim)})" for dim in dims)


def _listed(dims: Sequence[Number]) -> str:
    return f"[{', '.join(map(written, dims))}]"
