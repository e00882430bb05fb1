"""RNN, LSTM and GRU: the emitted class against PyTorch's own modules on packed sequences, scripted and in ONNX."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from one_layer import OneLayer, open_dim, type_of
from torch import Tensor, nn

from dlspec.compiler.backends.plan import Sizes
from dlspec.compiler.layers.base import ShapeFault
from dlspec.compiler.semantics.tensor import Tensor as Type
from dlspec.compiler.semantics.tensor import same

B, T = open_dim("B"), open_dim("T")
WIDTH, HIDDEN = 5, 3
WORDS = ("RNN", "LSTM", "GRU")
GRID = [
    {"layers": layers, "bidirectional": bidirectional}
    for layers, bidirectional in itertools.product((1, 2, 3), (False, True))
]
GIVEN = [(), ("lengths",), ("state",), ("lengths", "state")]


def rows(word: str, options: dict[str, Any]) -> int:
    return (2 if word == "LSTM" else 1) * options.get("layers", 1) * (2 if options.get("bidirectional") else 1)


def placed(word: str, given: tuple[str, ...], **options: Any) -> OneLayer:
    types = {"lengths": type_of("int", B), "state": type_of("float", rows(word, options), B, HIDDEN)}
    return OneLayer.make(
        word, type_of("float", B, T, WIDTH), {name: types[name] for name in given}, hidden=HIDDEN, **options
    )


def tensors(word: str, given: tuple[str, ...], options: dict[str, Any], t: int) -> tuple[Tensor, dict[str, Tensor]]:
    random = torch.Generator().manual_seed(t)
    # No sequence is as long as the longest may be, where there is room; they come in no order.
    lengths = torch.tensor([1, max(1, t - 1), (t + 1) // 2])
    sides = {"lengths": lengths, "state": torch.randn(rows(word, options), 3, HIDDEN, generator=random)}
    return torch.randn(3, t, WIDTH, generator=random), {name: sides[name] for name in given}


def by_pytorch(word: str, module: Any, x: Tensor, sides: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """PyTorch's module with the same weights, on a packed sequence where lengths are given."""
    m = module.m
    theirs = getattr(nn, word)(
        m.input_size, m.hidden_size, m.num_layers, batch_first=True, bidirectional=m.bidirectional, dtype=x.dtype
    )
    theirs.load_state_dict(m.state_dict())
    lengths = sides.get("lengths", torch.full((x.shape[0],), x.shape[1]))
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    state = sides.get("state")
    if state is None:
        packed, after = theirs(packed)
    elif word == "LSTM":
        half = state.shape[0] // 2
        packed, after = theirs(packed, (state[:half].contiguous(), state[half:].contiguous()))
    else:
        packed, after = theirs(packed, state)
    states, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
    # Each direction's last output: forwards at the last valid step, backwards at the first.
    ends = [states[torch.arange(x.shape[0]), lengths - 1, : m.hidden_size]]
    if m.bidirectional:
        ends.append(states[:, 0, m.hidden_size :])
    return states, torch.cat(ends, -1), torch.cat(after) if word == "LSTM" else after


@pytest.mark.parametrize("given", GIVEN, ids="-".join)
@pytest.mark.parametrize("options", GRID, ids=str)
@pytest.mark.parametrize("word", WORDS)
def test_the_class_computes_what_pytorchs_module_does(word: str, options: Any, given: tuple[str, ...]) -> None:
    layer = placed(word, given, **options)
    module = layer.module()
    expected_keys = list(getattr(nn, word)(WIDTH, HIDDEN, options["layers"], bidirectional=options["bidirectional"])
                         .state_dict())  # fmt: skip
    assert list(layer.layer.parameters(layer.x)) == expected_keys == [k[2:] for k in module.state_dict()]
    for t in (1, 2, 7):
        x, sides = tensors(word, given, options, t)
        found = module(x, *sides.values())
        for ours, theirs in zip(found, by_pytorch(word, module, x, sides), strict=True):
            assert torch.equal(ours, theirs)
        sizes = Sizes({"B": 3, "T": t})
        assert [tuple(part.shape) for part in found] == [tuple(map(sizes.of, type_.dims)) for type_ in layer.types]
        if "lengths" in sides:
            beyond = torch.arange(t)[None] >= sides["lengths"][:, None]
            assert (found[0][beyond] == 0).all()
        torch.cat([part.flatten() for part in found]).square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("given", GIVEN, ids="-".join)
@pytest.mark.parametrize("options", GRID, ids=str)
@pytest.mark.parametrize("word", WORDS)
def test_the_onnx_nodes_compute_what_the_class_does(
    word: str, options: Any, given: tuple[str, ...], tmp_path: Path
) -> None:
    layer = placed(word, given, **options)
    module = layer.module()
    run = layer.session(module, tmp_path)
    for t in (1, 2, 7):
        x, sides = tensors(word, given, options, t)
        with torch.no_grad():
            expected = module(x, *sides.values())
        for ours, theirs in zip(run(x, sides), expected, strict=True):
            assert torch.allclose(torch.from_numpy(ours), theirs, atol=2e-6)


@pytest.mark.parametrize("given", GIVEN, ids="-".join)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("word", WORDS)
def test_what_torchscript_scripts_computes_the_same(word: str, bidirectional: bool, given: tuple[str, ...]) -> None:
    options = {"layers": 2, "bidirectional": bidirectional, "dropout": 0.3}
    layer = placed(word, given, **options)
    module, scripted = layer.module(), layer.module(exporting=True)
    scripted.load_state_dict(module.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(scripted)
    x, sides = tensors(word, given, options, 6)
    for ours, theirs in zip(scripted(x, *sides.values()), module(x, *sides.values()), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("word", WORDS)
def test_dropout_acts_between_layers_in_training(word: str) -> None:
    module: Any = placed(word, (), layers=2, dropout=0.5).module().train()
    assert module.m.dropout == 0.5
    x, _ = tensors(word, (), {}, 5)
    assert not torch.equal(module(x)[0], module(x)[0])


def test_the_third_value_goes_on_from_where_it_was() -> None:
    first, second = placed("LSTM", (), layers=2), placed("LSTM", ("state",), layers=2)
    whole, rest = first.module(), second.module()
    rest.load_state_dict(whole.state_dict())
    x, _ = tensors("LSTM", (), {}, 7)
    states, _, _ = whole(x)
    _, _, state = whole(x[:, :4])
    assert torch.allclose(rest(x[:, 4:], state)[0], states[:, 4:], atol=1e-6)


def test_the_axes_keep_their_names() -> None:
    x = Type("float", type_of("float", B, T, WIDTH).dims, ("B", "T", "D"))
    layer = OneLayer.make("GRU", x, {}, hidden=HIDDEN, bidirectional=True)
    states, last, state = layer.types
    assert [t.axes for t in (states, last, state)] == [("B", "T", "D"), ("B", "D"), (None, "B", None)]
    assert same(state, type_of("float", 2, B, HIDDEN))


@pytest.mark.parametrize(
    ("x", "sides", "options", "message", "help", "option"),
    [
        (("float", B, 5), {}, {}, "LSTM takes [B, T, D] of known width D, and [B, 5] comes in", "Embedding", None),
        (("int", B, T, 5), {}, {}, "and int[B, T, 5] comes in", "Embedding", None),
        (("float", B, T, 5), {}, {"dropout": 0.1}, "`dropout` acts between layers", "more `layers`", "dropout"),
        (
            ("float", B, T, 5),
            {"lengths": type_of("int", B, T)},
            {},
            "`lengths` takes how many steps of each sequence are valid: int[B]; this is int[B, T]",
            "each example",
            "lengths",
        ),
        (
            ("float", B, T, 5),
            {"state": type_of("float", 1, B, HIDDEN)},
            {},
            "`state` takes what the same kind of layer gave as its third value: [2, B, 3]; this is [1, B, 3]",
            "the same `hidden`, `layers` and `bidirectional`",
            "state",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(
    x: Any, sides: Any, options: Any, message: str, help: str, option: str | None
) -> None:
    layer = OneLayer.make("LSTM", type_of(*x), sides, hidden=HIDDEN, **options)
    with pytest.raises(ShapeFault) as fault:
        layer.layer.infer(layer.x)
    assert message in fault.value.message
    assert help in fault.value.help
    assert fault.value.option == option
