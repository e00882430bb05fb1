"""Every layer's example as modules are used: made without memory, copied, compiled, in bfloat16, under autocast."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from layer_examples import example, kind_of, shape, tensor
from torch import Tensor

from dlspec.compiler.layers import registry
from dlspec.runtime.isolation import onednn_computes
from dlspec.runtime.program import load_text

RANDOM = frozenset({"Dropout", "DropPath", "GaussianNoise", "normal", "sample_normal"})
"""What draws numbers in training: these are compiled in evaluation, `normal` with the generator set anew."""
PACKED = frozenset({"RNN", "LSTM", "GRU"})
"""PyTorch's own recurrent modules, which its compiler leaves a graph for."""


ALONE = [word for word in registry.words() if kind_of(word).takes_running and word != "split"]
"""What may stand in a flow of its own: two parts are no one value."""


def made(word: str, *, recomputed: bool = False) -> tuple[torch.nn.Module, list[Tensor]]:
    """The example's module with drawn weights, and inputs that fit it."""
    artefact = example(word, recomputed=recomputed)
    with torch.device("meta"):
        model = load_text("example", artefact.model_code).Example()
    assert all(value.is_meta for value in (*model.parameters(), *model.buffers()))
    model.to_empty(device="cpu")
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            value.fill_(float("nan") if value.is_floating_point() else 0)
    model.init_weights(torch.Generator().manual_seed(0))
    return model, [_entering(tensor(value.type)) for value in artefact.graph.model.inputs]


def _entering(type_: Any) -> Tensor:
    dims, generator = shape(type_), torch.Generator().manual_seed(1)
    match type_.dtype:
        case "int":
            return torch.ones(dims, dtype=torch.long)
        case "bool":
            return torch.ones(dims, dtype=torch.bool)
    return torch.randn(dims, generator=generator).abs() + 0.1


def outputs(model: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    torch.manual_seed(5)
    given = model(*inputs)
    # Apart from the weights that a `Weight` gives, and that change in what follows.
    return tuple(y.clone() for y in (given if isinstance(given, tuple) else (given,)))


@pytest.mark.parametrize("word", registry.words())
def test_it_is_made_without_memory_and_fills_all_of_it(word: str) -> None:
    model, inputs = made(word)
    assert all(value.isfinite().all() for value in model.state_dict().values())
    assert all(y.isfinite().all() for y in outputs(model.eval(), inputs))


@pytest.mark.parametrize("word", registry.words())
def test_a_copy_is_the_same_and_its_own(word: str) -> None:
    model, inputs = made(word)
    other = copy.deepcopy(model.eval())
    expected = outputs(model, inputs)
    for parameter in model.parameters():
        parameter.data.zero_()
    for ours, theirs in zip(outputs(other, inputs), expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("word", ALONE)
def test_it_is_the_same_where_it_is_computed_twice(word: str) -> None:
    model, inputs = made(word)
    expected = outputs(model, inputs)
    twice, _ = made(word, recomputed=True)
    twice.load_state_dict(model.state_dict(), strict=True)
    (given,) = outputs(twice, inputs)
    assert torch.equal(given, expected[0])
    if given.requires_grad:
        given.sin().sum().backward()
        expected[0].sin().sum().backward()
    for ours, theirs in zip(twice.parameters(), model.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        assert ours.grad is None or theirs.grad is None or torch.equal(ours.grad, theirs.grad)


@pytest.mark.slow
@pytest.mark.parametrize("word", [word for word in registry.words() if word not in PACKED])
def test_it_is_compiled_whole_and_equal_to_eager(word: str) -> None:
    model, inputs = made(word)
    model.train(word not in RANDOM)
    other = copy.deepcopy(model)
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    expected, given = outputs(model, inputs), outputs(compiled, inputs)
    for ours, theirs in zip(given, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    if not any(y.requires_grad for y in expected):
        return
    for results in (expected, given):
        sum((y.sin().sum() for y in results if y.requires_grad), torch.zeros(())).backward()
    for ours, theirs in zip(other.parameters(), model.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        if ours.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("word", registry.words())
def test_it_runs_in_bfloat16_and_under_autocast(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = made(word)
    plain = outputs(model.eval(), inputs)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", onednn_computes("bf16"))  # as in a training
    with torch.autocast("cpu", torch.bfloat16):
        mixed = outputs(model, inputs)
    half = outputs(model.to(torch.bfloat16), [x.bfloat16() if x.is_floating_point() else x for x in inputs])
    for exact, *rounded in zip(plain, mixed, half, strict=True):
        for y in rounded:
            assert y.shape == exact.shape
            assert y.is_floating_point() == exact.is_floating_point()
            if y.is_floating_point() and word not in RANDOM:
                torch.testing.assert_close(y.float(), exact, rtol=0.1, atol=0.1 * float(exact.abs().max()) + 1e-3)
