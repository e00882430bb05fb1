"""Emitted kernels on a GPU; without one, Triton's interpreter (test_triton_*) is all there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from gpu_uses import Loaded, hold, loaded_for_gpu, uses_of
from loss_models import COUNTS, FUNCTIONS, HEADS, counts, with_function
from loss_models import OPTIONS as LOSSES
from loss_models import spec as losing
from test_triton_file import CASES as ATTENTIONS
from test_triton_file import SCORES
from test_triton_fuse_adds import BODIES, DROPPING
from test_triton_fuse_adds import spec as adding
from test_triton_gated_file import ACTIVATIONS, gate
from test_triton_gated_file import spec as gating
from test_triton_linear_file import ACTIVATIONS as BEHIND
from test_triton_linear_file import FUNCTIONS as OF_ENTRIES
from test_triton_losses import text_spec
from test_triton_norm_file import NORMS
from test_triton_norm_file import spec as norming
from test_triton_rotary_file import CASES as ROTARY
from test_triton_rotary_file import LLAMA
from test_triton_rotary_file import spec as turning
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from triton_files import compiled

from dlspec.compiler.pipeline import analyse, emit
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

if not torch.cuda.is_available():
    pytest.skip("needs a GPU, and there is none here", allow_module_level=True)

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
DTYPES = {**HALVES, "fp32": torch.float32}


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).cuda()


def drawn(model: nn.Module, dtype: torch.dtype, std: float = 0.5) -> nn.Module:
    """With weights that are not what norms and biases begin with."""
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=std, generator=generator)
    return model.to("cuda", dtype)


def hold_all(emission: Loaded, model: nn.Module, given: Sequence[Tensor], targets: Tensor | None = None) -> None:
    found = uses_of(emission, model, given, targets)
    assert found
    for use in found:
        hold(use, emission.kernels)


# --- each kind ---

LENGTH = 333


def attending(options: str, width: int) -> str:
    kinds = {"prefix": "int[B]", "documents": "int[B, T]", "keys": "bool[B, T]", "pairs": "bool[B, T, T]"}
    kinds |= {"near": "[2, T, T]", "each_near": "[B, 2, T, T]"}
    ports = "".join(f", {name}: {kind}" for name, kind in kinds.items() if f"= {name}" in options)
    size = 2 * width
    return f"""\
dlspec 1
{SCORES}
model Net: (x: [B, T <= 2048, {size}]{ports}) -> (y: [B, T, {size}]) {{
  x -> attn: SelfAttention(2{", " + options if options else ""}) as y
}}
"""


def attended(options: str, width: int, dtype: torch.dtype, length: int = LENGTH) -> None:
    emission = loaded_for_gpu(compiled(attending(options, width)))
    model = drawn(emission.model.Net(), dtype, 0.05).eval()
    places = torch.arange(length)
    more = {
        "prefix": torch.tensor([30, length - 9]),
        "documents": torch.stack((places // 101, places % 3)),
        "keys": torch.arange(2 * length).reshape(2, length) % 7 != 3,
        "pairs": torch.arange(2 * length * length).reshape(2, length, length) % 5 != 3,
        "near": draw(2, length, length, seed=5).requires_grad_(),
        "each_near": draw(2, 2, length, length, seed=6).requires_grad_(),
    }
    given = [draw(2, length, 2 * width).to(dtype)]
    hold_all(emission, model, given + [value.cuda() for name, value in more.items() if f"= {name}" in options])


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES.keys())
@pytest.mark.parametrize("options", ATTENTIONS.values(), ids=ATTENTIONS.keys())
def test_attention(options: str, dtype: torch.dtype) -> None:
    attended(options, 64, dtype)


@pytest.mark.parametrize("width", [16, 24, 40, 80, 96, 128, 192, 256])
@pytest.mark.parametrize("options", ["causal = true", "mask = keys, kv_heads = 1", "window = 70, alibi = true"])
def test_heads_of_any_width(options: str, width: int) -> None:
    attended(options, width, torch.bfloat16)


@pytest.mark.parametrize("width", [24, 96, 128, 256])
def test_heads_of_any_width_in_float32(width: int) -> None:
    attended("causal = true, window = 70, alibi = true", width, torch.float32)


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 1024])
def test_any_length(length: int) -> None:
    attended("causal = true, window = 40", 64, torch.bfloat16, length=length)


def test_queries_and_keys_of_other_lengths() -> None:
    for body, length in (("memory = m", 100), ("memory = m, mask = keys", 400)):
        mask = ", keys: bool[B, S]" if "keys" in body else ""
        text = f"""\
dlspec 1
model Net: (x: [B, T <= 512, 128], m: [B, S <= 512, 96]{mask}) -> (y: [B, T, 128]) {{
  x -> attn: CrossAttention(2, {body}) as y
}}
"""
        emission = loaded_for_gpu(compiled(text))
        model = drawn(emission.model.Net(), torch.bfloat16, 0.05)
        given = [draw(2, 301, 128).bfloat16(), draw(2, length, 96, seed=3).bfloat16()]
        if mask:
            given.append((torch.arange(2 * length).reshape(2, length) % 7 != 3).cuda())
        hold_all(emission, model, given)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES.keys())
@pytest.mark.parametrize("width", [1, 20, 64, 768, 3000, 4096, 9000, 16_384, 65_536])
@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS.keys())
def test_norm(norm: str, width: int, dtype: torch.dtype) -> None:
    emission = loaded_for_gpu(compiled(norming(norm, width)))
    hold_all(emission, drawn(emission.model.Net(), dtype), [draw(3, 501, width).to(dtype).requires_grad_()])


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES.keys())
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS.keys())
def test_gated_activation(activation: str, dtype: torch.dtype) -> None:
    emission = loaded_for_gpu(compiled(gating(gate(activation))))
    hold_all(emission, drawn(emission.model.Net(), dtype, 0.4), [draw(60, 70, 16).to(dtype)])


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES.keys())
@pytest.mark.parametrize("activation", BEHIND)
def test_linear_layers(activation: str, dtype: torch.dtype) -> None:
    text = f"""\
dlspec 1
{OF_ENTRIES}
model Net: (x: [B, T, 768]) -> (y: [B, T, 100]) {{ Linear(3072) -> {activation} -> Linear(768) -> Linear(100) }}
"""
    emission = loaded_for_gpu(compiled(text))
    for rows in (1, 501, 4 * 1024):
        model = drawn(emission.model.Net(), dtype, 0.03)
        hold_all(emission, model, [draw(3, rows, 768).to(dtype).requires_grad_()])


@pytest.mark.parametrize("dtype", HALVES.values(), ids=HALVES.keys())
@pytest.mark.parametrize("body", ROTARY.values(), ids=ROTARY.keys())
def test_rotary(body: str, dtype: torch.dtype) -> None:
    emission = loaded_for_gpu(compiled(turning(body)))
    given = [draw(2, 9, 32), *([draw(2, 5, 20, seed=3)] if "= m" in body else [])]
    hold_all(emission, drawn(emission.model.Net(), dtype, 0.2), [one.to(dtype) for one in given])


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES.keys())
@pytest.mark.parametrize(("default", "body", "fused"), BODIES.values(), ids=BODIES.keys())
def test_sums_before_norms(default: str, body: str, fused: int, dtype: torch.dtype) -> None:
    artefact = compiled(adding(default, body))
    if not artefact.kernels:
        assert fused == 0
        return
    emission = loaded_for_gpu(artefact)
    hold_all(emission, drawn(emission.model.Net(), dtype).eval(), [draw(20, 50, 16).to(dtype)])


def targets(*shape: int, below: int) -> Tensor:
    found = torch.randint(0, below, shape, generator=torch.Generator().manual_seed(1))
    found[0, :2] = -100
    return found.cuda()


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES.keys())
@pytest.mark.parametrize("vocab", [256, 10_007, 130_000])
@pytest.mark.parametrize("options", LOSSES.values(), ids=LOSSES.keys())
def test_cross_entropy(options: str, vocab: int, dtype: torch.dtype) -> None:
    if "weight" in options and vocab > 20_000:
        pytest.skip("a list of so many weights takes ten seconds to compile")
    options = options.replace(str(COUNTS), str(counts(vocab)))
    text = text_spec(f"cross_entropy(logits, data.targets{options})", vocab=vocab)
    emission = loaded_for_gpu(compiled(text))
    tokens = targets(4, 16, below=256).clamp(min=0)
    hold_all(emission, drawn(emission.model.Lm(), dtype), [tokens], targets(4, 16, below=vocab))


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES.keys())
@pytest.mark.parametrize("options", LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_linear_and_cross_entropy(head: str, options: str, dtype: torch.dtype) -> None:
    emission = loaded_for_gpu(compiled(losing(head, options)))
    tokens = targets(8, 32, below=256)
    hold_all(emission, drawn(emission.model.Lm(), dtype), [tokens.clamp(min=0)], tokens)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES.keys())
@pytest.mark.parametrize("name", FUNCTIONS)
def test_linear_and_a_function_and_cross_entropy(name: str, dtype: torch.dtype) -> None:
    emission = loaded_for_gpu(compiled(with_function(name, options=", z_loss = 0.01")))
    tokens = targets(8, 32, below=256)
    hold_all(emission, drawn(emission.model.Lm(), dtype), [tokens.clamp(min=0)], tokens)


# --- the systems that come with dlspec ---

SYSTEMS: dict[str, tuple[tuple[str, ...], str, int]] = {
    "chargpt": ((), "target", 64),
    "gpt": (("depth=2",), "target", 1024),
    "llama": (("depth=2", "vocab=32_000"), "target", 2048),
    "gemma2": (("depth=2", "vocab=32_768"), "target", 2048),
    "roberta": (("depth=2",), "target", 512),
    "vit": (("depth=2",), "label", 0),
    "t5": (("depth=2",), "both", 512),
    "transformer": (("depth=2",), "both", 512),
    "lstm": ((), "target", 300),
}
"""What is put in, what comes in, and how long sequences are: as long as the models take, or as they are trained."""


@pytest.mark.parametrize("dtype", HALVES.values(), ids=HALVES.keys())
@pytest.mark.parametrize("name", SYSTEMS)
def test_systems_at_their_own_sizes(name: str, dtype: torch.dtype) -> None:
    """Each kernel that they call, in half precision as they are trained."""
    overrides, kind, length = SYSTEMS[name]
    path = Path(__file__).parents[1] / "specs" / f"{name}.dlspec"
    source = Source(str(path), path.read_text(encoding="utf-8"))
    artefact = emit(analyse(source, overrides), kernels="triton")
    emission = loaded_for_gpu(artefact)
    model = getattr(emission.model, artefact.graph.model.name)()
    model.init_weights(torch.Generator().manual_seed(0))
    model.cuda().eval()
    tokens = torch.randint(1, 60, (2, length), generator=torch.Generator().manual_seed(1)).cuda()
    tokens[1, length - 20 :] = 0
    given = {"target": [tokens], "both": [tokens[:, :200], tokens], "label": [draw(2, 3, 224, 224)]}[kind]
    wanted = targets(2, 1, below=60)[:, 0].clamp(min=0) if kind == "label" else targets(2, length, below=60)
    with torch.autocast("cuda", dtype):
        found = uses_of(emission, model, given, wanted)
    assert found
    for use in found:
        hold(use, emission.kernels)


# --- what stands around them ---


def whole(dtype: torch.dtype = torch.bfloat16) -> tuple[nn.Module, nn.Module, Tensor]:
    """A small Llama with kernels and one without, with equal weights, and tokens."""
    emission = loaded_for_gpu(compiled(LLAMA))
    models = [emission.model.Net(), load_text("net", compiled(LLAMA, "torch").model_code).Net()]
    for model in models:
        model.init_weights(torch.Generator().manual_seed(2))
        model.to("cuda", dtype)
    return models[0], models[1], torch.randint(20, (2, 13), generator=torch.Generator().manual_seed(1)).cuda()


def learnt(model: nn.Module, tokens: Tensor) -> list[Tensor]:
    logits = model(tokens)
    loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten())
    return [logits.detach(), *torch.autograd.grad(loss, list(model.parameters()))]


def near(ours: list[Tensor], theirs: list[Tensor], exact: list[Tensor]) -> None:
    """By the rule; a whole model's errors are those of all its layers, ours and not ours."""
    for a, b, c in zip(ours, theirs, exact, strict=True):
        scale = torch.finfo(b.dtype).eps * c.abs().max().item()
        assert (a - c).abs().max().item() <= max(2 * (b - c).abs().max().item(), 2 * scale)


def test_a_whole_model() -> None:
    model, plain, tokens = whole()
    near(learnt(model, tokens), learnt(plain, tokens), learnt(plain.double(), tokens))


def test_under_torch_compile() -> None:
    model, plain, tokens = whole()
    theirs = learnt(plain, tokens)
    torch._dynamo.reset()
    model.compile(fullgraph=True)
    near(learnt(model, tokens), theirs, learnt(plain.double(), tokens))


def test_recomputed() -> None:
    """Activation checkpointing by block gives the same bits."""
    model, _, tokens = whole()
    want = learnt(model, tokens)
    for block in model.blocks:  # type: ignore[union-attr]
        plain = block.forward
        block.forward = lambda *given, plain=plain: checkpoint(plain, *given, use_reentrant=False)
    for a, b in zip(learnt(model, tokens), want, strict=True):
        assert torch.equal(a, b)


def test_in_a_cuda_graph() -> None:
    """A pass that was recorded once and is played with other tokens gives the same bits as one that is not."""
    model, _, tokens = whole()
    others = tokens.flip(1).contiguous()
    want = learnt(model, others)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            learnt(model, tokens)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = learnt(model, tokens)
    tokens.copy_(others)
    graph.replay()
    torch.cuda.synchronize()
    for a, b in zip(found, want, strict=True):
        assert torch.equal(a, b)


class TestDropout:
    def test_of_attention_is_the_same_backward(self) -> None:
        """The output is linear in the values, <y(v), d> = <v, y^T(d)>; and as much goes as was asked for."""
        emission = loaded_for_gpu(compiled(attending("causal = true, dropout = 0.25", 64)))
        attention = emission.kernels.attention
        q, k, v, d = (draw(2, LENGTH, 2, 64, seed=seed).bfloat16() for seed in range(4))
        v.requires_grad_()
        torch.manual_seed(7)
        y = attention(q, k, v, 0.25)
        (d_v,) = torch.autograd.grad(y, v, d)
        forth = (y.double() * d.double()).sum()
        back = (v.double() * d_v.double()).sum()
        size = (y.double() * d.double()).norm()
        assert abs(forth - back) <= 0.02 * size
        torch.manual_seed(7)
        assert torch.equal(attention(q, k, v, 0.25), y)
        # Alike queries and keys: an output is the share of what is kept, over what is asked to be.
        some = attention(torch.zeros_like(q), k, torch.ones_like(v), 0.25)[:, -1].float().mean()
        assert abs(some - 1) < 0.1
        assert not torch.equal(attention(q, k, v, 0.25), y)

    def test_of_a_residual_is_the_same_backward(self) -> None:
        emission = loaded_for_gpu(compiled(adding("", DROPPING)))
        add = emission.kernels.add_layer_norm
        branch = draw(400, 16).requires_grad_()
        weight, bias = torch.ones(16, device="cuda"), torch.zeros(16, device="cuda")
        total, _ = add(torch.zeros(400, 16, device="cuda"), branch, weight, bias, 1e-5, 0.4)
        (gradient,) = torch.autograd.grad(total.sum(), branch)
        dropped = total == 0
        assert torch.equal(gradient == 0, dropped)
        assert torch.allclose(gradient[~dropped], torch.tensor(1 / 0.6, device="cuda"))
        assert abs(dropped.float().mean().item() - 0.4) < 0.03
