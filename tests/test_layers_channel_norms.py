"""Norms of channels, SqueezeExcite, DropPath and GaussianNoise against PyTorch's own and their papers."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from one_layer import Dim, OneLayer, open_dim, type_of
from torch import nn

from dlspec import check, compile
from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.layers.base import ShapeFault
from dlspec.compiler.layers.prelu import PReLU
from dlspec.compiler.layers.silu import Silu
from dlspec.compiler.layers.softmax import Softmax
from dlspec.compiler.layers.split import Split
from dlspec.compiler.semantics.number import whole
from dlspec.runtime.program import load_text

B, T, H, W = (open_dim(name) for name in "BTHW")
OPEN: dict[int, tuple[Dim, ...]] = {2: (B, 8), 3: (B, 8, T), 4: (B, 8, H, W), 5: (B, 8, T, H, W)}
SHAPES = {2: (6, 8), 3: (6, 8, 5), 4: (6, 8, 3, 4), 5: (6, 8, 2, 3, 4)}


def random(*dims: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(dims, generator=torch.Generator().manual_seed(seed))


def shaken(module: nn.Module) -> nn.Module:
    """With weights and running statistics that differ from what they start as."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in (*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())):
            tensor.mul_(torch.rand(tensor.shape, generator=generator) + 0.5)
            tensor.add_(0.3 * torch.rand(tensor.shape, generator=generator))
    return module


def far(found: Any, expected: torch.Tensor) -> float:
    found = torch.as_tensor(np.asarray(found.detach() if isinstance(found, torch.Tensor) else found))
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


def held(layer: OneLayer) -> dict[str, tuple[int, ...]]:
    """What the layer says it has, as a state dict lists it."""
    tensors = {**layer.layer.parameters(layer.x), **layer.layer.buffers(layer.x)}
    return {f"m.{key}": tuple(map(whole, tensor.dims)) for key, tensor in tensors.items()}


NORMS = [
    *(("BatchNorm", {}, rank) for rank in (2, 3, 4, 5)),
    ("BatchNorm", {"momentum": 0.3, "eps": 0.01}, 4),
    *(("GroupNorm", {"groups": 4}, rank) for rank in (3, 4, 5)),
    ("GroupNorm", {"groups": 1, "eps": 0.1}, 4),
    *(("InstanceNorm", {}, rank) for rank in (3, 4, 5)),
    ("InstanceNorm", {"eps": 0.1}, 4),
]


def own(word: str, options: dict[str, Any], rank: int) -> nn.Module:
    match word:
        case "BatchNorm":
            return getattr(nn, f"BatchNorm{max(rank - 2, 1)}d")(8, **options)
        case "GroupNorm":
            return nn.GroupNorm(options["groups"], 8, options.get("eps", 1e-5))
        case _:
            return getattr(nn, f"InstanceNorm{rank - 2}d")(8, **options)


@pytest.mark.parametrize(("word", "options", "rank"), NORMS, ids=str)
def test_a_norm_is_pytorchs_in_training_and_evaluation(
    word: str, options: dict[str, Any], rank: int, tmp_path: Path
) -> None:
    layer = OneLayer.make(word, type_of("float", *OPEN[rank]), **options)
    ours, theirs = shaken(layer.module()), own(word, options, rank)
    state = ours.state_dict()
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == held(layer)
    theirs.load_state_dict({key.removeprefix("m."): tensor for key, tensor in state.items()})
    x = random(*SHAPES[rank])
    for _ in range(3):
        x = 1.5 * x + 1
        assert far(ours.train()(x), theirs.train()(x).detach()) == 0
    for (name, mine), (_, other) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert torch.equal(mine, other), name
    expected = theirs.eval()(x).detach()
    assert far(ours.eval()(x), expected) == 0
    (found,) = layer.session(ours, tmp_path)(x, {})
    assert far(found, expected) < 1e-5


def test_group_norm_of_vectors(tmp_path: Path) -> None:
    layer = OneLayer.make("GroupNorm", type_of("float", *OPEN[2]), groups=2)
    ours = shaken(layer.module())
    x = random(*SHAPES[2])
    expected = F.group_norm(x, 2, ours.get_parameter("m.weight"), ours.get_parameter("m.bias")).detach()
    assert far(ours(x), expected) == 0
    (found,) = layer.session(ours, tmp_path)(x, {})
    assert far(found, expected) < 1e-5


@pytest.mark.parametrize("word", ["BatchNorm", "InstanceNorm"])
def test_running_statistics_and_weights_begin_as_pytorch_has_them(word: str) -> None:
    layer = OneLayer.make(word, type_of("float", *OPEN[4]))
    module, theirs = shaken(layer.module()), own(word, {}, 4)
    made = module.get_submodule("m")
    if hasattr(theirs, "running_mean") and word == "BatchNorm":
        made.reset_parameters()  # type: ignore[operator]  what `init_weights` calls
        for mine, other in zip(made.state_dict().values(), theirs.state_dict().values(), strict=True):
            assert torch.equal(mine, other)
    assert list(made.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize("act", [None, Silu(), PReLU(), Softmax(axis=1)], ids=lambda a: a.word if a else "relu")
@pytest.mark.parametrize("rank", [3, 4, 5])
def test_squeeze_and_excitation_is_that_of_the_paper(act: Any, rank: int, tmp_path: Path) -> None:
    options = {} if act is None else {"act": act}
    layer = OneLayer.make("SqueezeExcite", type_of("float", *OPEN[rank]), hidden=3, **options)
    ours = shaken(layer.module())
    assert {key: tuple(tensor.shape) for key, tensor in ours.state_dict().items()} == held(layer)
    x = random(*SHAPES[rank])
    weights = {key.removeprefix("m."): tensor for key, tensor in ours.state_dict().items()}
    h = F.linear(x.flatten(2).mean(2), weights["fc1.weight"], weights["fc1.bias"])
    match act:
        case None:
            h = F.relu(h)
        case Silu():
            h = F.silu(h)
        case Softmax():
            h = h.softmax(1)
        case _:
            h = F.prelu(h, weights["act.weight"])
    scale = torch.sigmoid(F.linear(h, weights["fc2.weight"], weights["fc2.bias"]))
    expected = x * scale[(...,) + (None,) * (rank - 2)]
    assert far(ours(x), expected) < 1e-6
    (found,) = layer.session(ours, tmp_path)(x, {})
    assert far(found, expected) < 1e-5


@pytest.mark.parametrize("p", [0.25, 0.75])
def test_drop_path_drops_examples_whole(p: float) -> None:
    module = OneLayer.make("DropPath", type_of("float", B, 4, T), p=p).module()
    x = random(4000, 4, 3)
    assert torch.equal(module.eval()(x), x)
    torch.manual_seed(0)
    y = module.train()(x)
    kept = (y != 0).flatten(1).any(1)
    assert torch.equal(y[~kept], torch.zeros_like(y[~kept]))
    assert abs(kept.float().mean().item() - (1 - p)) < 0.03
    torch.testing.assert_close(y[kept], x[kept] / (1 - p))


def test_noise_is_added_in_training_only() -> None:
    module = OneLayer.make("GaussianNoise", type_of("float", B, 8), std=0.5).module()
    x = random(2000, 8)
    assert torch.equal(module.eval()(x), x)
    torch.manual_seed(0)
    noise = module.train()(x) - x
    assert abs(noise.std().item() - 0.5) < 0.02
    assert abs(noise.mean().item()) < 0.02


EVERYWHERE = [
    ("BatchNorm", {}),
    ("GroupNorm", {"groups": 2}),
    ("InstanceNorm", {}),
    ("SqueezeExcite", {"hidden": 4, "act": PReLU()}),
    ("DropPath", {"p": 0.5}),
    ("GaussianNoise", {"std": 0.1}),
]


@pytest.mark.parametrize(("word", "options"), EVERYWHERE, ids=lambda v: v if isinstance(v, str) else "")
def test_it_is_scripted_compiled_copied_and_runs_in_bfloat16(word: str, options: dict[str, Any]) -> None:
    layer = OneLayer.make(word, type_of("float", *OPEN[4]), **options)
    ours, x = layer.module(), random(*SHAPES[4])
    expected = ours(x).detach()
    scripted = torch.jit.script(layer.module(exporting=True))
    assert far(scripted(x), expected) < 1e-6
    trained = torch.compile(copy.deepcopy(ours).train(), fullgraph=True, backend="eager")
    assert trained(x).shape == expected.shape
    assert ours.to(torch.bfloat16)(x.to(torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("word", "dims", "options", "message", "help"),
    [
        (
            "BatchNorm",
            (B, T, 8),
            {},
            "BatchNorm needs to know how many channels there are, and axis 1 of [B, T, 8] is open",
            "its weights are made when the model is built: write a number or a constant there",
        ),
        (
            "InstanceNorm",
            (B, 8),
            {},
            "InstanceNorm takes [B, C, T] to [B, C, D, H, W], and [B, 8] comes in",
            "the first axis is the batch, the second the channels; LayerNorm acts on the last axis",
        ),
        (
            "InstanceNorm",
            (B, 8, 1, 1),
            {},
            "each channel of [B, 8, 1, 1] is one number, and InstanceNorm would make it 0",
            "normalise before the picture shrinks to one entry, or use BatchNorm",
        ),
        (
            "GroupNorm",
            (B, 8, H, W),
            {"groups": 3},
            "the 8 channels of [B, 8, H, W] do not fall into 3 groups",
            "the number of channels must be a multiple of `groups`",
        ),
        (
            "GroupNorm",
            (B, 8),
            {"groups": 8},
            "each of the 8 groups of [B, 8] is one number, and the norm of one number is 0",
            "take fewer groups, or LayerNorm",
        ),
        (
            "GroupNorm",
            (B, 8, 1, 1),
            {"groups": 8},
            "each of the 8 groups of [B, 8, 1, 1] is one number, and the norm of one number is 0",
            "take fewer groups, or LayerNorm",
        ),
        (
            "SqueezeExcite",
            (B, 8, H, W),
            {"hidden": 4, "act": Split(n=2)},
            "`act` takes a layer or function that keeps the shape [B, 4], and split does not",
            "write an activation, such as `act = silu`",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_both_sides(
    word: str, dims: tuple[Dim, ...], options: dict[str, Any], message: str, help: str
) -> None:
    with pytest.raises(ShapeFault) as fault:
        _ = OneLayer.make(word, type_of("float", *dims), **options).types
    assert fault.value.message == message
    assert fault.value.help == help


@pytest.mark.parametrize(
    ("dims", "sizes", "groups"),
    [((B, 8), (3, 8), 4), ((B, 8, 1), (3, 8, 1), 4), ((B, 8, 2), (3, 8, 2), 8), ((B, 8, T), (3, 8, 2), 8)],
    ids=str,
)
def test_groups_of_two_numbers_are_enough(dims: tuple[Dim, ...], sizes: tuple[int, ...], groups: int) -> None:
    """Of two numbers one becomes 1 and the other -1."""
    layer = OneLayer.make("GroupNorm", type_of("float", *dims), groups=groups, eps=1e-12)
    found = layer.module()(random(*sizes))
    assert found.shape == sizes
    torch.testing.assert_close(found.abs(), torch.ones(sizes), rtol=1e-4, atol=1e-4)


def test_an_act_may_be_a_function_of_the_file_and_name_constants(tmp_path: Path) -> None:
    spec = """dlspec 1
slope = 0.3
bent(x, top = 3) = min(max(x, 0) ^ 2, top * slope)
model Net: (x: [B, 8, H, W]) -> (y: [B, 8, H, W]) {
  a: SqueezeExcite(4, act = bent(top = 2)) -> b: SqueezeExcite(4, act = leaky_relu(2 * slope))
}
"""
    artefact = compile(spec)
    made: Any = load_text("net", artefact.model_code).Net()
    model: Any = shaken(made).eval()
    acts = {"a": lambda h: (h.clamp(min=0) ** 2).clamp(max=0.6), "b": lambda h: F.leaky_relu(h, 0.6)}
    x = y = random(2, 8, 3, 5)
    for label, act in acts.items():
        part = getattr(model, label)
        y = y * torch.sigmoid(part.fc2(act(part.fc1(y.mean((2, 3))))))[:, :, None, None]
    assert far(model(x), y.detach()) < 1e-6
    weights = {key: tensor.numpy() for key, tensor in model.state_dict().items()}
    save(build(artefact.graph, weights, metadata={}), tmp_path / "net.onnx")
    (found,) = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(None, {"x": x.numpy()})
    assert far(found, y.detach()) < 1e-5


def test_a_function_given_what_is_no_number_is_refused() -> None:
    spec = """dlspec 1
f(x, top = 3) = min(x, top)
model N: (x: [B, 8, H, W]) -> (y: [B, 8, H, W]) {
  SqueezeExcite(4, act = f(top = relu))
}
"""
    (found,) = check(spec)
    assert found.message == "`top` of `f` is a number here, known when the model is built"
