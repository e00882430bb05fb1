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
from .numbering import numbered, with_numbers

_BLOCK, _WARPS = 4096, 8
"""The entries of a program, and its warps."""

_APART = '''\
def launch_gated_forward(gate: Tensor, up: Tensor) -> Tensor:
    gate, up = gate.contiguous(), up.contiguous()
    out, N = torch.empty_like(gate), gate.numel()
    with torch.cuda.device_of(gate):
        gated_forward[_GRID_](gate, up, out, N, _OPTIONS_)
    return out


def launch_gated_backward(d_out: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    d_out, gate, up = d_out.contiguous(), gate.contiguous(), up.contiguous()
    d_gate, d_up, N = torch.empty_like(gate), torch.empty_like(up), gate.numel()
    with torch.cuda.device_of(gate):
        gated_backward[_GRID_](gate, up, d_out, d_gate, d_up, N, _OPTIONS_)
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
    if not fused(gate) or (gate.dtype, gate.shape) != (up.dtype, up.shape):
        return _PLAIN_
    return Gated.apply(gate, up)
'''

_JOINED = '''\
def launch_gated_forward(both: Tensor) -> Tensor:
    _HALVES_ = both.contiguous().chunk(2, -1)
    out = torch.empty(gate.shape, dtype=both.dtype, device=both.device)
    N = out.numel()
    with torch.cuda.device_of(both):
        gated_forward[_GRID_](gate, up, out, N, _OPTIONS_)
    return out


def launch_gated_backward(d_out: Tensor, both: Tensor) -> Tensor:
    d_out, both = d_out.contiguous(), both.contiguous()
    d_both, N = torch.empty_like(both), d_out.numel()
    _HALVES_ = both.chunk(2, -1)
    _D_HALVES_ = d_both.chunk(2, -1)
    with torch.cuda.device_of(both):
        gated_backward[_GRID_](gate, up, d_out, d_gate, d_up, N, _OPTIONS_)
    return d_both


def gated_forward_shapes(both):
    return both.new_empty(both.chunk(2, -1)[0].shape)


def gated_backward_shapes(d_out, both):
    return both.new_empty(both.shape)


operator(
    "gated_forward(Tensor both) -> Tensor",
    launch_gated_forward,
    gated_forward_shapes,
)
operator(
    "gated_backward(Tensor d_out, Tensor both) -> Tensor",
    launch_gated_backward,
    gated_backward_shapes,
)


class Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, both):
        ctx.save_for_backward(both)
        return operators.gated_forward(both)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out):
        return operators.gated_backward(d_out, *ctx.saved_tensors)


def _ENTRY_(both: Tensor) -> Tensor:
    """_NAME_(gate) * up (Shazeer 2020), fused where there is a GPU.

    both [..., _TWICE_], the halves _HALVES_ side by side -> [..., _WIDTH_]
    """
    if not fused(both):
        _HALVES_ = both.chunk(2, -1)
        return _PLAIN_
    return Gated.apply(both)
'''

_OPERATORS = ("gated_forward", "gated_backward")
_OWN_NAMES = (
    *_OPERATORS,
    *(f"launch_{name}" for name in _OPERATORS),
    *(f"{name}_shapes" for name in _OPERATORS),
    "Gated",
)


def calling_lines(features: GatedFeatures, number: int) -> list[str]:
    """All but the kernels themselves. `number` is the variant's, and ends its names."""
    words = {
        "GRID": f"(triton.cdiv(N, {_BLOCK}),)",
        "OPTIONS": f"BLOCK={_BLOCK}, num_warps={_WARPS}",
        "ENTRY": numbered(features.entry, number),
        "NAME": features.name,
        "PLAIN": infix(print_torch(features.activation, {"x"}, name=lambda _: "gate"), "*", "up"),
        "HALVES": "gate, up" if features.gate_first else "up, gate",
        "D_HALVES": "d_gate, d_up" if features.gate_first else "d_up, d_gate",
        "WIDTH": str(features.width or 0),
        "TWICE": str(2 * (features.width or 0)),
    }
    text = _APART if features.width is None else _JOINED
    text = re.sub(rf"_({'|'.join(words)})_", lambda found: words[found[1]], text)
    return [part for line in text.splitlines() for part in fit(with_numbers(line, _OWN_NAMES, number))]


def activation_functions(name: str, value: Expression) -> dict[str, str]:
    """What stands in for a template's example, by name: the function `name`, and its derivative."""
    return {
        "activation": _function("activation", f"The function {name}.", value),
        "activation_by_x": _function("activation_by_x", "Its derivative.", differentiate(value, "x")),
    }


def _function(name: str, doc: str, value: Expression) -> str:
    lines = [f"def {name}(x):", f'    """{doc}"""', f"    return {print_triton(value)}"]
    return "\n".join(["@triton.jit", *(part for line in lines for part in fit(line))]) + "\n"
