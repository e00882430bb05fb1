"""The text of what calls the kernels of a gated activation: launchers, operators, and the function of the model."""

from __future__ import annotations

import re

from ...scalars.differentiate import differentiate
from ...scalars.expression import Expression
from ...scalars.print_torch import print_torch
from ...scalars.print_triton import print_triton
from ..pytorch.expression import infix
from ..pytorch.layout import fit
from .gated_features import GatedFeatures
from .specialise import numbered

_TEXT = '''\
def launch_gated_forward(gate: Tensor, up: Tensor) -> Tensor:
    gate, up = gate.contiguous(), up.contiguous()
    N = gate.numel()
    out = torch.empty_like(gate)
    with torch.cuda.device_of(gate):
        gated_forward[(triton.cdiv(N, 4096),)](gate, up, out, N, BLOCK=4096, num_warps=8)
    return out


def launch_gated_backward(d_out: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    d_out, gate, up = d_out.contiguous(), gate.contiguous(), up.contiguous()
    N = gate.numel()
    d_gate, d_up = torch.empty_like(gate), torch.empty_like(up)
    with torch.cuda.device_of(gate):
        gated_backward[(triton.cdiv(N, 4096),)](gate, up, d_out, d_gate, d_up, N, BLOCK=4096, num_warps=8)
    return d_gate, d_up


def gated_forward_shapes(gate, up):
    return gate.new_empty(gate.shape)


def gated_backward_shapes(d_out, gate, up):
    return gate.new_empty(gate.shape), up.new_empty(up.shape)


operator(
    "gated_forward(Tensor gate, Tensor up) -> Tensor",
    launch_gated_forward,
    gated_forward_shapes,
)
operator(
    "gated_backward(Tensor d_out, Tensor gate, Tensor up) -> (Tensor, Tensor)",
    launch_gated_backward,
    gated_backward_shapes,
)


class Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gate, up):
        ctx.save_for_backward(gate, up)
        return operators.gated_forward(gate, up)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out):
        return operators.gated_backward(d_out, *ctx.saved_tensors)


def _ENTRY_(gate: Tensor, up: Tensor) -> Tensor:
    """_NAME_(gate) * up (Shazeer 2020), fused where there is a GPU; all have one shape."""
    kernels = fused(gate, torch.float16, torch.bfloat16, torch.float32)
    if not kernels or gate.dtype != up.dtype:
        return _PLAIN_
    return Gated.apply(gate, up)
'''

_OWN_NAMES = re.compile(r"\b((launch_)?gated_(forward|backward)(_shapes)?|Gated)\b")


def calling_lines(features: GatedFeatures, number: int) -> list[str]:
    """All but the kernels themselves. `number` is the variant's, and ends its names."""
    plain = infix(print_torch(features.activation, {"x"}, name=lambda _: "gate"), "*", "up")
    text = _OWN_NAMES.sub(lambda found: numbered(found[0], number), _TEXT)
    text = text.replace("_ENTRY_", numbered(features.entry, number)).replace("_NAME_", features.name)
    return [part for line in text.replace("_PLAIN_", plain).splitlines() for part in fit(line)]


def activation_functions(features: GatedFeatures) -> dict[str, str]:
    """What stands in for the template's example, by name."""
    value = features.activation
    return {
        "activation": _function("activation", f"The function {features.name}.", value),
        "activation_by_x": _function("activation_by_x", "Its derivative.", differentiate(value, "x")),
    }


def _function(name: str, doc: str, value: Expression) -> str:
    lines = [f"def {name}(x):", f'    """{doc}"""', f"    return {print_triton(value)}"]
    return "\n".join(["@triton.jit", *(part for line in lines for part in fit(line))]) + "\n"
