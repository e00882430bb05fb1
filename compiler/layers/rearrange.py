"""rearrange: axes split, put in another order and merged, as a pattern says it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import Number, equal, number, product, written
from ..semantics.tensor import Tensor
from .base import Code, Layer, ShapeFault
from .kept import Device, Kept
from .options import PatternText, Sizes
from .permute import permuted
from .rearrange_pattern import ONE, REST, Group, Pattern, PatternFault, parse
from .reshape import names_of, onnx_reshape, quotient

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


@dataclass(frozen=True)
class Part:
    """An axis while all are apart: its length, how it is called, and whether its length was given."""

    size: Number
    axis: str | None
    given: bool


@dataclass(frozen=True)
class Moves:
    """A pattern on what comes in: split the axes into `groups` of parts, put the parts in `order`, merge `merged`.

    A group of no parts is an axis of 1, taken out or put in.
    """

    groups: tuple[tuple[Part, ...], ...]
    order: tuple[int, ...]
    merged: tuple[int, ...]

    @property
    def parts(self) -> list[Part]:
        """All parts in their new order."""
        apart = [part for group in self.groups for part in group]
        return [apart[before] for before in self.order]

    def runs(self) -> Iterator[list[Part]]:
        """The parts of each axis of the result."""
        parts = iter(self.parts)
        return ([next(parts) for _ in range(count)] for count in self.merged)


class Rearrange(Layer):
    """`rearrange("b (h p) -> b h p", p = 7)` (the notation of einops, Rogozhnikov 2022): axes in another order.

    Axes in parentheses are one axis of the tensor: on the left it is split, on the right they are merged. The lengths
    of split axes are given by their names, all but one. `1` is an axis of length 1; `...` stands for all other axes.
    """

    word: ClassVar[str] = "rearrange"
    example: ClassVar[str] = 'rearrange("b t (h d) -> b h t d", h = 4)'
    keywords: ClassVar[str | None] = "sizes"

    pattern: PatternText
    sizes: Sizes = ()

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        runs = list(self.moves(x).runs())
        names = tuple(run[0].axis if len(run) == 1 else None for run in runs)
        return (Tensor(x.dtype, tuple(_merged(run) for run in runs), names),)

    def moves(self, x: Tensor) -> Moves:
        """What the pattern does to `x`. Raises ShapeFault."""
        try:
            pattern = parse(self.pattern)
        except PatternFault as fault:
            raise ShapeFault(
                fault.message, fault.help, "pattern", part=fault.part, code="wrong-value", label="here"
            ) from None
        sizes = dict(self.sizes)
        for name in sizes:
            if name not in {axis.name for axis in pattern.axes}:
                listed = ", ".join(f"`{axis.name}`" for axis in pattern.axes)
                raise ShapeFault(
                    f"no axis of the pattern is called `{name}`",
                    f"its axes are {listed}",
                    name,
                    code="unknown-option",
                    label="not in the pattern",
                )
        rest = self._rest(pattern, x)
        groups: list[tuple[Part, ...]] = []
        places: dict[str, list[int]] = {}
        count, axis = 0, 0
        for group in pattern.left:
            spread = [x.dims[axis + i] for i in range(rest)] if _is_rest(group) else None
            if spread is not None:
                found = [(Part(dim, _name(x, axis + i), True),) for i, dim in enumerate(spread)]
                places[REST] = list(range(count, count + rest))
            else:
                names = [part.name for part in group.axes if part.name != ONE]
                found = [self._split(group, names, x, axis, sizes)]
                places |= {name: [count + i] for i, name in enumerate(names)}
            groups += found
            count += sum(map(len, found))
            axis += len(found)
        order: list[int] = []
        merged: list[int] = []
        for group in pattern.right:
            moved = [place for part in group.axes if part.name != ONE for place in places[part.name]]
            order += moved
            merged += [1] * rest if _is_rest(group) else [len(moved)]
        return Moves(tuple(groups), tuple(order), tuple(merged))

    def _rest(self, pattern: Pattern, x: Tensor) -> int:
        """How many axes `...` stands for."""
        plain = [group for group in pattern.left if not _is_rest(group)]
        rest = x.rank - len(plain)
        if rest < 0 or (rest > 0 and len(plain) == len(pattern.left)):
            left = (pattern.left[0].part[0], pattern.left[-1].part[1]) if pattern.left else (0, 0)
            raise ShapeFault(
                f"the pattern has {len(plain)} {'axis' if len(plain) == 1 else 'axes'}, and {x} has {x.rank}",
                "the left side names every axis of what comes in; `...` stands for those that stay as they are",
                "pattern",
                part=left,
            )
        return rest

    def _split(
        self, group: Group, names: list[str], x: Tensor, axis: int, sizes: dict[str, Number]
    ) -> tuple[Part, ...]:
        """The parts of one axis of `x`."""
        dim = x.dims[axis]
        if len(names) == 1 and names[0] not in sizes:
            return (Part(dim, _name(x, axis), False),)
        free = [name for name in names if name not in sizes]
        if len(free) > 1:
            listed = " and ".join(f"`{name}`" for name in free)
            raise ShapeFault(
                f"the lengths of {listed} are open",
                f"give all but one behind the pattern: `{free[-1]} = 8`",
                "pattern",
                part=group.part,
                label=f"{written(dim)} is split here",
            )
        given = [sizes[name] for name in names if name in sizes]
        left = quotient([dim], given) if given else dim
        if left is None or (not free and not equal(left, number(1))):
            text = " * ".join(f"{written(size)}" for size in given) or "1"
            message = (
                f"{written(dim)} does not divide into parts of {text}"
                if free
                else f"the axis is {written(dim)}, not {text}"
            )
            raise ShapeFault(message, f"{x} comes in", "pattern", part=group.part, label=f"{written(dim)} long")
        return tuple(_part(sizes[name], given=True) if name in sizes else _part(left, given=False) for name in names)

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept()

    # --- PyTorch ---

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        moves = self.moves(x_type)
        # From the last axis to the first, so that the axes still to be split keep their places.
        for axis in reversed(range(len(moves.groups))):
            group = moves.groups[axis]
            at = -1 if axis == len(moves.groups) - 1 else axis
            if not group:
                x = f"{x}.squeeze({at})"
            elif len(group) > 1:
                sizes = ", ".join(code.number(part.size) if part.given else "-1" for part in group)
                x = f"{x}.unflatten({at}, ({sizes}))"
        x = permuted(x, moves.order)
        for axis, count in enumerate(moves.merged):
            if count == 0:
                x = f"{x}.unsqueeze({axis})"
            elif count > 1:
                end = "" if axis == len(moves.merged) - 1 else f", {axis + count - 1}"
                x = f"{x}.flatten({axis}{end})"
        return x

    # --- ONNX ---

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        """One axis at a time, so that a reshape has at most one dim that is open and new."""
        moves = self.moves(x_type)
        type_ = x_type
        for axis in reversed(range(len(moves.groups))):
            sizes = [part.size for part in moves.groups[axis]]
            x, type_ = _changed(g, x, type_, (*type_.dims[:axis], *sizes, *type_.dims[axis + 1 :]), f"{name}.split")
        if list(moves.order) != sorted(moves.order):
            type_ = Tensor(type_.dtype, tuple(part.size for part in moves.parts))
            x = g.op("Transpose", [x], type_, f"{name}.transpose", perm=moves.order)
        for axis, run in enumerate(moves.runs()):
            dims = (*type_.dims[:axis], _merged(run), *type_.dims[axis + len(run) :])
            x, type_ = _changed(g, x, type_, dims, f"{name}.merge")
        return (x,)


def _changed(
    g: OnnxBuilder, x: OnnxValue, before: Tensor, dims: tuple[Number, ...], name: str
) -> tuple[OnnxValue, Tensor]:
    type_ = Tensor(before.dtype, dims)
    return (x, before) if len(dims) == before.rank else (onnx_reshape(g, x, before, type_, name), type_)


def _merged(run: list[Part]) -> Number:
    return product([part.size for part in run]) if run else number(1)


def _is_rest(group: Group) -> bool:
    return any(axis.name == REST for axis in group.axes)


def _name(x: Tensor, axis: int) -> str | None:
    return x.axes[axis] if x.axes else None


def _part(size: Number, *, given: bool) -> Part:
    return Part(size, names_of([size])[0], given)
