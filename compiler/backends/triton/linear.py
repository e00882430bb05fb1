"""A Linear whose bias gets its gradient from a kernel: in an update of GPT-2 124M on one H200 PyTorch's sums over many
rows took 3.7 ms of 72, a third of the bandwidth of a copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .column_sums import ColumnSums
from .common import CAST, PRODUCT_GRADIENTS, PRODUCTS
from .specialise import Specialised
from .variant import Variant

_LINEAR = '''\
class BiasedLinear(torch.autograd.Function):
    """[..., in] -> [M, out]: to a view that is made in here nobody may write."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        ctx.dtype = bias.dtype
        return F.linear(as_rows(x), *cast((weight, bias), x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx, d_y):
        x, weight = ctx.saved_tensors
        by_x, by_weight, by_bias = ctx.needs_input_grad
        d_x, d_weight = product_gradients(d_y, x, weight, by_x, by_weight)
        d_bias = column_sums(d_y, ctx.dtype) if by_bias else None
        return d_x, d_weight, d_bias


class Linear(nn.Linear):
    """nn.Linear, whose bias gets its gradient from a kernel: [..., in] -> [..., out]"""

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias
        # A weight of another kind (DTensor, quantised) knows itself what a product is.
        own = type(weight) in (nn.Parameter, Tensor) and bias is not None
        if not own or not fused(x):
            return F.linear(x, weight, bias)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        y = BiasedLinear.apply(x, weight, bias)
        return y.view(*x.shape[:-1], len(weight))
'''


@dataclass(frozen=True)
class LinearFeatures(Variant):
    """Nothing is fixed: widths are the layer's own. It has a bias."""

    kind: ClassVar[str] = "linear"

    @property
    def entry(self) -> str:
        return "Linear"

    @property
    def shared(self) -> tuple[str, ...]:
        return (CAST, PRODUCTS, PRODUCT_GRADIENTS)

    @property
    def beside(self) -> tuple[Variant, ...]:
        return (ColumnSums(),)

    def kernels(self, number: int) -> Specialised:
        return Specialised((), "", {})

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        return list[str](_LINEAR.splitlines())
