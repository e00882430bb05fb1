"""Attention's own kernels beside PyTorch's: how right in half precision, how fast forward and backward; and with all
options together, for which PyTorch has no kernel, beside themselves without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from dlspec.compiler.pipeline import analyse, emit
from dlspec.grammar import Source
from dlspec.runtime.bench.measure import on_own_stream, seconds_of
from dlspec.runtime.program import load_text

TOKENS = 16_384
"""Of a batch, whatever the length."""
WINDOW, DOCUMENT = 1024, 4096
"""How far a query sees, and how long each document is, where options are combined."""
OPTIONS = f", causal = true, window = {WINDOW}, alibi = true, softcap = 30, documents = documents, dropout = 0.1"
PEERS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}


def kernels_of(width: int, heads: int, options: str) -> ModuleType:
    """The emitted file of a model whose one attention this is, as a module."""
    dim = width * heads
    documents = ", documents: int[B, T]" if "= documents" in options else ""
    text = f"""\
dlspec 1
model Net: (x: [B, T, {dim}]{documents}) -> (y: [B, T, {dim}]) {{
  x -> attn: SelfAttention({heads}{options}) as y
}}
"""
    return emitted_kernels(text)


def emitted_kernels(text: str) -> ModuleType:
    """The file of kernels of a spec."""
    artefact = emit(analyse(Source("net.dlspec", text)), kernels="triton")
    (name,) = artefact.kernels
    return load_text(name.removesuffix(".py"), artefact.kernels[name])


@dataclass(frozen=True)
class Case:
    """q, k and v [B, length, heads, width] on a device, drawn once."""

    width: int
    length: int
    device: torch.device
    quick: bool

    @property
    def shape(self) -> tuple[int, int, int, int]:
        heads, batch = (2, 1) if self.quick else (2048 // self.width, TOKENS // self.length)
        return batch, self.length, heads, self.width

    def drawn(self, count: int) -> list[Tensor]:
        draw = torch.Generator(self.device).manual_seed(0)
        return [torch.randn(self.shape, generator=draw, device=self.device).bfloat16() for _ in range(count)]

    def flops(self, seen: float) -> float:
        """Of a forward pass, where a query sees `seen` keys on average."""
        batch, length, heads, width = self.shape
        return 4 * batch * heads * length * seen * width


def attentions(device: torch.device, *, quick: bool) -> dict[str, Any]:
    """TFLOP/s of the emitted kernels and of PyTorch's, with the ratio; `equal` where no error is twice theirs."""
    found: dict[str, Any] = {}
    equal = True
    for width in (64, 128):
        for causal in (False, True):
            with on_own_stream(device):
                kernels = kernels_of(width, 2 if quick else 2048 // width, ", causal = true" if causal else "")
                for length in (128,) if quick else (1024, TOKENS):
                    case = Case(width, length, device, quick)
                    name = f"{'causal' if causal else 'full'}, heads of {width}, {length} long"
                    found[name], right = _plain(kernels.attention, case, causal=causal)
                    equal = equal and right
        found[f"combined, heads of {width}"] = _combined(width, device, quick=quick)
    return {"equal": equal, "attentions": found}


def _plain(attention: Callable[..., Tensor], case: Case, *, causal: bool) -> tuple[dict[str, Any], bool]:
    q, k, v = (one.requires_grad_() for one in case.drawn(3))
    flops = case.flops((case.length + 1) / 2 if causal else case.length)

    def pytorch() -> Tensor:
        return _by_pytorch(q, k, v, causal=causal)

    ours = _speeds(lambda: attention(q, k, v), (q, k, v), flops)
    found: dict[str, Any] = {"ours": ours}
    if case.device.type == "cuda":
        for name, backend in PEERS.items():
            with sdpa_kernel(backend):
                found[name] = _beside(ours, _speeds(pytorch, (q, k, v), flops))
        if case.length == TOKENS:  # which takes long to compile
            flex = flex_attention(case, causal=causal)
            found["flex"] = _beside(ours, _speeds(lambda: flex(q, k, v), (q, k, v), flops))
    return found, _right(attention(q, k, v), pytorch(), q, k, v, causal=causal)


def _beside(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, float]:
    return theirs | {f"{way}_ratio": round(ours[way] / theirs[way], 3) for way in ours}


def flex_attention(case: Case, *, causal: bool) -> Callable[..., Tensor]:
    """FlexAttention, compiled, with a causal mask where there is to be one."""
    from torch.nn.attention import flex_attention as flex

    torch.compiler.reset()  # which compiles a function for a few shapes, and then no more
    mask = None
    if causal:
        mask = flex.create_block_mask(
            lambda b, h, q, k: q >= k, None, None, case.length, case.length, device=str(case.device)
        )
    compiled: Any = torch.compile(flex.flex_attention, dynamic=False)

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return compiled(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), block_mask=mask).transpose(1, 2)

    return run


def _combined(width: int, device: torch.device, *, quick: bool) -> dict[str, Any]:
    """TFLOP/s over what is seen, with all options and with none but causal."""
    case = Case(width, 128 if quick else TOKENS, device, quick)
    window, document = (16, 32) if quick else (WINDOW, DOCUMENT)
    heads = case.shape[2]
    q, k, v = (one.requires_grad_() for one in case.drawn(3))
    documents = (torch.arange(case.length, device=device) // document).expand(case.shape[0], -1).contiguous()
    slopes = 2.0 ** -torch.arange(1, heads + 1, device=device)
    # The first queries of a document see fewer keys than the window has.
    seen = case.flops(window - window * (window - 1) / 2 / document)
    with on_own_stream(device):
        plain = kernels_of(width, heads, ", causal = true").attention
        rich = kernels_of(width, heads, OPTIONS).attention
        bare = _speeds(lambda: plain(q, k, v), (q, k, v), case.flops((case.length + 1) / 2))
        all_in_one = _speeds(lambda: rich(q, k, v, documents, slopes, window, 30.0, 0.1), (q, k, v), seen)
    return {"ours": all_in_one, "causal": bare} | {
        f"{way}_of_causal": round(all_in_one[way] / bare[way], 3) for way in bare
    }


def _by_pytorch(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2)


def _right(ours: Tensor, theirs: Tensor, q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> bool:
    """Of the first head, against float64: at most twice as far off as PyTorch's."""
    first = [x[:1, :, :1].detach().double() for x in (q, k, v)]
    want = _by_pytorch(first[0], first[1], first[2], causal=causal)
    off = [(y[:1, :, :1].detach().double() - want).abs().max().item() for y in (ours, theirs)]
    return off[0] <= 2 * off[1] + 1e-6


def _speeds(run: Callable[[], Tensor], leaves: tuple[Tensor, ...], flops: float) -> dict[str, float]:
    """TFLOP/s; the backward pass counts as two and a half of the forward."""
    y = run()
    change = torch.randn(y.shape, generator=torch.Generator(y.device).manual_seed(1), device=y.device).to(y.dtype)
    forward = seconds_of(run, y.device)
    backward = seconds_of(lambda: torch.autograd.grad(y, leaves, change, retain_graph=True), y.device)
    return {"forward": round(flops / forward / 1e12, 3), "backward": round(2.5 * flops / backward / 1e12, 3)}
