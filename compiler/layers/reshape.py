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
    is_whole,
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
    """`x` in the shape of `type`. Raises NoOnnxForm where several dims are open and the axes of `x` do not say them."""
    entries: list[int | OnnxValue] = []
    left = _left_over(x_type, type)
    for place, dim in enumerate(type.dims):
        if dim.value is not None:
            entries.append(whole(dim))
        elif place < x_type.rank and equal(dim, x_type.dims[place]):
            entries.append(0)  # as it is in `x`
        elif place == left:
            entries.append(-1)
        else:
            entries.append(_onnx_size(g, x, x_type, dim, f"{name}.size"))
    if all(isinstance(entry, int) for entry in entries):
        shape = g.wholes([entry for entry in entries if isinstance(entry, int)])
    else:
        parts = [g.whole(entry) if isinstance(entry, int) else entry for entry in entries]
        shape = g.op("Concat", parts, Tensor("int", (number(len(parts)),)), f"{name}.shape", axis=0)
    return g.op("Reshape", [x, shape], type, name)


def _left_over(x_type: Tensor, type: Tensor) -> int | None:
    """The place of the dim that is written as -1: of those that are no axis of `x`, one that these do not say."""
    new = [place for place, dim in enumerate(type.dims) if dim.value is None and not _along(x_type, dim)]
    return next((place for place in new if not _said(type.dims[place], x_type)), next(iter(new), None))


def _along(x: Tensor, dim: Number) -> list[int]:
    """The axes of `x` that are as long."""
    return [axis for axis, other in enumerate(x.dims) if equal(dim, other)]


_ONNX_OPERATORS = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "//": "Div"}


def _said(dim: Number, x: Tensor) -> bool:
    """Whether a dim is a whole number, an axis of `x`, or worked out from these."""
    match dim:
        case _ if dim.value is not None:
            return is_whole(dim)
        case _ if _along(x, dim):
            return True
        case Reference(target=Literal() | Reference() | Operation() as target):
            return _said(target, x)
        case Operation(operator, operands):
            return operator in _ONNX_OPERATORS and all(_said(operand, x) for operand in operands)
    return False


def _onnx_size(g: OnnxBuilder, x: OnnxValue, x_type: Tensor, dim: Number, name: str) -> OnnxValue:
    """A dim at run time, as a list of one. Raises NoOnnxForm where the axes of `x` do not say it."""
    if not _said(dim, x_type):
        raise NoOnnxForm(f"a reshape to `{written(dim)}` and other dims that are only known at run time")
    if dim.value is not None:
        return g.whole(whole(dim))
    if axes := _along(x_type, dim):
        return g.length(x, x_type, axes[0])
    if isinstance(dim, Operation):
        sizes = [_onnx_size(g, x, x_type, operand, name) for operand in dim.operands]
        return g.op(_ONNX_OPERATORS[dim.operator], sizes, Tensor("int", (number(1),)), name)
    assert isinstance(dim, Reference) and isinstance(dim.target, Literal | Reference | Operation)
    return _onnx_size(g, x, x_type, dim.target, name)


def _entries(dims: Sequence[Number]) -> str:
    """`B * 8 * 16`, or how many they are."""
    if all(dim.value is not None for dim in dims):
        total = product([number(whole(dim)) for dim in dims])
        return spell(total.value)  # type: ignore[arg-type]
    return " * ".join(written(dim) if not isinstance(dim, Operation) else f"({written(dim)})" for dim in dims)


def _listed(dims: Sequence[Number]) -> str:
    return f"[{', '.join(map(written, dims))}]"
