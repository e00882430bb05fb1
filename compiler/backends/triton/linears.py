"""Linear layers of one input, as one product: what a model calls, which needs no kernel of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .specialise import Specialised
from .variant import Variant

ONE_PRODUCT = '''\
def one_product(x: Tensor, layers: Sequence[nn.Module]) -> bool:
    """Whether linear layers may be one product: on a GPU, where calling each of them is its
    product and nothing else. A hook, a wrapper, a parametrization or a weight of another
    kind (DTensor, quantised) has to see its own layer called.
    """
    return (
        fused(x, torch.float16, torch.bfloat16, torch.float32)
        and all(type(layer) is nn.Linear and is_plain(layer) for layer in layers)
        and len({layer.bias is None for layer in layers}) == 1
    )


def is_plain(layer: nn.Linear) -> bool:
    """Whether nothing was put around a layer or in place of what it has."""
    before = layer._forward_pre_hooks or layer._backward_pre_hooks
    behind = layer._forward_hooks or layer._backward_hooks
    everywhere = torch.nn.modules.module._has_any_global_hook()
    own = type(layer.weight) is nn.Parameter and "forward" not in vars(layer)
    return own and not (before or behind or everywhere)


class Linears(torch.autograd.Function):
    """Keeps the weights as they are, and puts them side by side once more in the backward
    pass: nothing is kept twice, and what is sharded can be let go in between.
    """

    @staticmethod
    def forward(ctx, x, count, *learned):
        weights, biases = learned[:count], learned[count:]
        ctx.save_for_backward(x, *weights)
        bias = side_by_side(biases, x.dtype) if biases else None
        return F.linear(x, side_by_side(weights, x.dtype), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_y):
        x, *weights = ctx.saved_tensors
        by_x, _, *by_learned = ctx.needs_input_grad
        count, sizes = len(weights), [len(weight) for weight in weights]
        d_y, dtype = d_y.flatten(0, -2), weights[0].dtype
        d_x, d_learned = None, [None] * len(by_learned)
        if by_x:
            d_x = (d_y @ side_by_side(weights, d_y.dtype)).view_as(x)
        if any(by_learned[:count]):
            d_weights = (d_y.t() @ x.flatten(0, -2)).to(dtype)
            d_learned[:count] = d_weights.split(sizes)
        if any(by_learned[count:]):
            d_learned[count:] = d_y.sum(0, dtype=dtype).split(sizes)
        return d_x, None, *d_learned


def side_by_side(tensors: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """One below the other, each cast on its way."""
    rows = sum(len(tensor) for tensor in tensors)
    room = tensors[0].new_empty((rows, *tensors[0].shape[1:]), dtype=dtype)
    return torch.cat(tensors, out=room)


def product(x: Tensor, layers: Sequence[nn.Linear]) -> Tensor:
    """What all of them make of x, side by side."""
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    weights = [layer.weight for layer in layers]
    biases = [layer.bias for layer in layers if layer.bias is not None]
    return Linears.apply(x, len(weights), *weights, *biases)
'''

_LINEARS = '''\
def linears(x: Tensor, *layers: nn.Linear) -> Sequence[Tensor]:
    """What each of several linear layers makes of x: one product where there is a GPU."""
    if not one_product(x, layers):
        return [layer(x) for layer in layers]
    return product(x, layers).split([layer.out_features for layer in layers], -1)
'''


@dataclass(frozen=True)
class LinearsFeatures(Variant):
    """Nothing is fixed: widths and biases are the layers' own."""

    kind: ClassVar[str] = "linears"
    runs_kernels: ClassVar[bool] = False

    @property
    def entry(self) -> str:
        return "linears"

    @property
    def shared(self) -> tuple[str, ...]:
        return (ONE_PRODUCT,)

    def kernels(self, number: int) -> Specialised:
        return Specialised((), "", {})

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        return list[str](_LINEARS.splitlines())
