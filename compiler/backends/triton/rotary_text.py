"""The text of what calls the kernel of a rotary embedding: its launcher, its operator, and the function of a model."""

from __future__ import annotations

from ..pytorch.layout import fit
from .numbering import with_numbers
from .rotary_features import RotaryFeatures
from .specialise import Specialised

_TEXT = '''\
def launch_rotary(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, back: bool) -> tuple[Tensor, Tensor]:
    (B, T, heads, _), (S, kv_heads) = q.shape, k.shape[1:3]
    q, k, cos, sin = rows(q), rows(k), cos.contiguous(), sin.contiguous()
    q_out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    k_out = torch.empty(k.shape, dtype=k.dtype, device=k.device)
    blocks = triton.cdiv(B * T * heads, _BLOCK_) + triton.cdiv(B * S * kv_heads, _BLOCK_)
    with torch.cuda.device_of(q):
        rotary_turn_both[(blocks,)](_ARGUMENTS_)
    return q_out, k_out


def rotary_shapes(q, k, cos, sin, back):
    return q.new_empty(q.shape), k.new_empty(k.shape)


operator(
    "rotary(Tensor q, Tensor k, Tensor cos, Tensor sin, bool back) -> (Tensor, Tensor)",
    launch_rotary,
    rotary_shapes,
)


class Rotary(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, cos, sin):
        ctx.save_for_backward(cos, sin)
        return operators.rotary(q, k, cos, sin, False)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_q, d_k):
        d_q, d_k = operators.rotary(d_q, d_k, *ctx.saved_tensors, True)
        return d_q, d_k, None, None


def rotary(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Rotary position embedding (Su et al. 2021), fused where there is a GPU and heads are
    _WIDTH_ wide.

    q is [B, T, heads, width], k [B, S, kv_heads, width]; cos and sin have a row for each
    position.
    """
    fits = q.shape[-1] == k.shape[-1] == _WIDTH_ and q.shape[0] == k.shape[0]
    if not (fits and fused(q)):
        return rotary_plain(q, cos, sin), rotary_plain(k, cos, sin)
    longest = max(q.shape[1], k.shape[1])
    if longest > cos.shape[0]:
        raise ValueError(f"a sequence of {longest}, and rotary is for {cos.shape[0]}")
    return Rotary.apply(q, k, cos, sin)


def rotary_plain(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The same of one of them by PyTorch alone."""
    cos, sin = cos[: x.shape[1], None], sin[: x.shape[1], None]
    left, right = x.chunk(2, -1)  # [B, T, heads, width / 2]
    turned = torch.cat((left * cos - right * sin, right * cos + left * sin), -1)
    return turned.type_as(x)
'''

_OWN_NAMES = ("rotary", "launch_rotary", "rotary_shapes", "rotary_turn_both", "rotary_plain", "Rotary")


_ARGUMENTS = {"q_row": "q.stride(1)", "k_row": "k.stride(1)", "BLOCK": "BLOCK=_BLOCK_", "BACK": "BACK=back"}
"""What a launch passes under names that are not the parameters' own."""


def calling_lines(features: RotaryFeatures, kernels: Specialised, number: int) -> list[str]:
    """All but the kernel itself. `number` is the variant's, and ends its names."""
    passed = (_ARGUMENTS.get(name, name) for name in kernels.parameters["turn_both"])
    text = _TEXT.replace("_ARGUMENTS_", ", ".join(passed)).replace("_BLOCK_", str(features.block))
    text = text.replace("_WIDTH_", str(features.width))
    return [part for line in text.splitlines() for part in fit(_named(line, number))]


def _named(line: str, number: int) -> str:
    # A docstring and an error speak of it as such.
    if line.lstrip().startswith(('"""', "raise")):
        return line
    return with_numbers(line, _OWN_NAMES, number)
