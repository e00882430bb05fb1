"""What an activation behind a Linear asks of its kernels, and the text of what calls them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from ...scalars.expression import Expression
from ...scalars.print_torch import print_torch
from ..pytorch.layout import fit
from .column_sums import COLUMNS, PROGRAMS, WARPS, ColumnSums
from .common import CAST, IS_PLAIN, PRODUCT_GRADIENTS, PRODUCTS
from .gated_text import activation_functions
from .linears import ONE_PRODUCT
from .numbering import numbered, with_numbers
from .specialise import Specialised, specialise
from .variant import Variant

KERNELS = ("linear.activation_forward", "linear.activation_backward")

_CALLING = f'''\
def launch_activation_forward(x: Tensor) -> Tensor:
    x = x.contiguous()
    y, size = torch.empty_like(x), x.numel()
    with torch.cuda.device_of(x):
        activation_forward[(triton.cdiv(size, 4096),)](
            x, y, size, BLOCK=4096, num_warps=8
        )
    return y


def launch_activation_backward(
    d_y: Tensor, x: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    d_y, x = d_y.contiguous(), x.contiguous()
    N = x.shape[-1]
    d_x, M = torch.empty_like(x), x.numel() // N
    blocks = triton.cdiv(N, {COLUMNS})
    groups, per = groups_of_rows(M, {PROGRAMS}, blocks, x)
    parts = torch.empty((groups, N), dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        activation_backward[(blocks, groups)](
            x, d_y, d_x, parts, M, N, per, ROWS=16, BLOCK={COLUMNS}, num_warps={WARPS}
        )
    return d_x, sum_of_parts(parts, dtype)


def activation_forward_shapes(x):
    return x.new_empty(x.shape)


def activation_backward_shapes(d_y, x, dtype):
    return x.new_empty(x.shape), x.new_empty(x.shape[-1:], dtype=dtype)


operator(
    "activation_forward(Tensor x) -> Tensor",
    launch_activation_forward,
    activation_forward_shapes,
)
operator(
    "activation_backward(Tensor d_y, Tensor x, ScalarType dtype) -> (Tensor, Tensor)",
    launch_activation_backward,
    activation_backward_shapes,
)


class ActivatedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        z = F.linear(x, *cast((weight, bias), x.dtype))
        ctx.save_for_backward(x, weight, z)
        return operators.activation_forward(z)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_y):
        x, weight, z = ctx.saved_tensors
        by_x, by_weight, _ = ctx.needs_input_grad
        d_z, d_bias = operators.activation_backward(d_y, z, weight.dtype)
        return *product_gradients(d_z, x, weight, by_x, by_weight), d_bias


def _ENTRY_(x: Tensor, layer: nn.Linear) -> Tensor:
    """_NAME_ of what a linear layer makes of x. Where there is a GPU, the pass that makes
    the gradient of that sums it for the bias as well.
    """
    if not one_product(x, [layer], bias=True):
        x = layer(x)
        return _PLAIN_
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    return ActivatedLinear.apply(x, layer.weight, layer.bias)
'''

_OPERATORS = ("activation_forward", "activation_backward")
_OWN_NAMES = (
    *_OPERATORS,
    *(f"launch_{name}" for name in _OPERATORS),
    *(f"{name}_shapes" for name in _OPERATORS),
    "ActivatedLinear",
)


@dataclass(frozen=True)
class ActivatedFeatures(Variant):
    """What is fixed when the kernels are written."""

    kind: ClassVar[str] = "activation"

    name: str
    """Of the activation."""
    activation: Expression
    """Over `x`."""

    @property
    def entry(self) -> str:
        return f"{self.name}_linear"

    @property
    def shared(self) -> tuple[str, ...]:
        return (IS_PLAIN, ONE_PRODUCT, CAST, PRODUCTS, PRODUCT_GRADIENTS)

    @property
    def beside(self) -> tuple[Variant, ...]:
        return (ColumnSums(),)

    def kernels(self, number: int) -> Specialised:
        functions = activation_functions(self.name, self.activation)
        return specialise(KERNELS, {}, functions, number, self.kind)

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        words = {
            "ENTRY": numbered(self.entry, number),
            "NAME": self.name,
            "PLAIN": print_torch(self.activation, {"x"}),
        }
        text = re.sub(rf"_({'|'.join(words)})_", lambda found: words[found[1]], _CALLING)
        text = "\n".join(with_numbers(line, _OWN_NAMES, number) for line in text.splitlines())
        return [part for line in text.splitlines() for part in fit(line)]
