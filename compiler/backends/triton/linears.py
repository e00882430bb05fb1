"""Linear layers of one input, as one product: what a model calls, which needs no kernel of its own but for biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .column_sums import ColumnSums
from .common import IS_PLAIN, PRODUCTS
from .numbering import with_numbers
from .specialise import Specialised
from .variant import Variant

ONE_PRODUCT = '''\
def one_product(x: Tensor, layers: Sequence[nn.Module], bias: bool) -> bool:
    """Whether linear layers may be done in one go: on a GPU, where calling each of them is its
    product, with a bias or without, and nothing else. A hook, a wrapper, a parametrization or a
    weight of another kind (DTensor, quantised) has to see its own layer called.
    """
    return (
        fused(x)
        and all(type(layer) is nn.Linear and is_plain(layer) for layer in layers)
        and all((layer.bias is not None) is bias for layer in layers)
    )
'''

_SIDE_BY_SIDE = '''\
def side_by_side(dtype: torch.dtype, *groups: Sequence[Tensor]) -> list[Tensor]:
    """The tensors of each group one below the other, all cast on their way by one kernel."""
    rooms: list[Tensor] = []
    places: list[Tensor] = []
    for group in groups:
        sizes = [len(tensor) for tensor in group]
        room = group[0].new_empty((sum(sizes), *group[0].shape[1:]), dtype=dtype)
        rooms.append(room)
        places += room.split(sizes)
    torch._foreach_copy_(places, [tensor for group in groups for tensor in group])
    return rooms


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Parts of rows as whole rows [M, N], copied only where they do not lie so already."""
    widths = [part.shape[-1] for part in parts]
    size = (*parts[0].shape[:-1], sum(widths))
    base = None if torch.compiler.is_compiling() else parts[0]._base
    if base is not None and base.is_contiguous() and base.numel() == math.prod(size):
        whole = base.view(size)
        for part, place in zip(parts, whole.split(widths, -1)):
            at = part.storage_offset(), part.stride()
            if part._base is not base or at != (place.storage_offset(), place.stride()):
                break
        else:
            return as_rows(whole)
    return as_rows(torch.cat(parts, -1))
'''

_ENTRY = '''\
def linears(x: Tensor, *layers: nn.Linear) -> Sequence[Tensor]:
    """What each of several linear layers makes of x: one product where there is a GPU."""
    if not one_product(x, layers, bias=_BIAS_):
        return [layer(x) for layer in layers]
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    weights = [layer.weight for layer in layers]
    _RETURN_
'''
_RETURN_BIASED = "return Linears.apply(x, len(weights), *weights, *(layer.bias for layer in layers))"


@dataclass(frozen=True)
class LinearsFeatures(Variant):
    """What is fixed when they are written; widths are the layers' own."""

    kind: ClassVar[str] = "linears"
    runs_kernels: ClassVar[bool] = False

    bias: bool

    @property
    def entry(self) -> str:
        return "linears"

    @property
    def shared(self) -> tuple[str, ...]:
        return (IS_PLAIN, ONE_PRODUCT, PRODUCTS, _SIDE_BY_SIDE)

    @property
    def beside(self) -> tuple[Variant, ...]:
        return (ColumnSums(),) if self.bias else ()

    def kernels(self, number: int) -> Specialised:
        return Specialised((), "", {})

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        ending = _RETURN_BIASED if self.bias else "return Linears.apply(x, *weights)"
        entry = _ENTRY.replace("_BIAS_", str(self.bias)).replace("_RETURN_", ending)
        text = "\n".join([*_function(bias=self.bias), "", "", entry])
        return [with_numbers(line, ("Linears", "linears"), number) for line in text.splitlines()]


def _function(*, bias: bool) -> list[str]:
    """The text of the product and its derivative, with biases or without."""
    parts = ["        weights, biases = learned[:count], learned[count:]"]
    asked = ["        count = len(weights)", "        by_weights, by_biases = by_learned[:count], by_learned[count:]"]
    sums = [
        "        d_biases = [None] * count",
        "        if any(by_biases):",
        "            d_biases = column_sums(d_y, dtype).split(sizes)",
    ]
    return [
        "class Linears(torch.autograd.Function):",
        '    """Keeps the weights as they are, and puts them side by side once more in the backward',
        "    pass: nothing is kept twice, and what is sharded can be let go in between.",
        '    """',
        "",
        "    @staticmethod",
        f"    def forward(ctx, x, {'count, *learned' if bias else '*weights'}):",
        *(parts if bias else []),
        "        ctx.save_for_backward(x, *weights)",
        f"        y = F.linear(x, *side_by_side(x.dtype, weights{', biases' if bias else ''}))",
        "        return y.split([len(weight) for weight in weights], -1)",
        "",
        "    @staticmethod",
        "    @once_differentiable",
        "    def backward(ctx, *d_ys):",
        "        x, *weights = ctx.saved_tensors",
        f"        by_x, {'_, *by_learned' if bias else '*by_weights'} = ctx.needs_input_grad",
        *(asked if bias else []),
        "        sizes, dtype = [len(weight) for weight in weights], weights[0].dtype",
        "        d_y, d_x, d_weights = joined(d_ys), None, [None] * len(sizes)",
        "        if by_x:",
        "            (weight,) = side_by_side(d_y.dtype, weights)",
        "            d_x = (d_y @ weight).view_as(x)",
        "        if any(by_weights):",
        "            d_weights = product(d_y.t(), as_rows(x), dtype).split(sizes)",
        *(sums if bias else []),
        f"        return d_x, {'None, *d_weights, *d_biases' if bias else '*d_weights'}",
    ]
