"""What combinators mean: the emitted model against the formula of the language, written out over its own modules."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cli_cases import Write, write
from torch import Tensor

from dlspec.cli.main import main
from dlspec.compiler.pipeline import Artefact, compile
from dlspec.compiler.training.exports import lends
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

torch.set_num_threads(1)
__all__ = ["write"]  # a fixture


def emitted(body: str, before: str = "", ports: str = "(x: [B, T, 8]) -> (y: [B, T, 8])") -> tuple[Any, Artefact]:
    artefact = compile(Source("m.dlspec", f"dlspec 1\n{before}\nmodel M: {ports} {{\n{body}\n}}\n"))
    model = load_text("m", artefact.model_code).M()
    generator = torch.Generator().manual_seed(0)
    model.init_weights(generator)
    with torch.no_grad():  # what begins at 0 or 1 would hide mistakes
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval(), artefact


def keys(model: Any) -> list[str]:
    return [name.removesuffix(".weight") for name, _ in model.named_parameters() if not name.endswith(".bias")]


X = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=2e-6)


PARTS = ("pre", "out", "post", "skip", "scale", "gain", "layer_scale")
VALUES = {"pre": "RMSNorm", "out": "LayerNorm", "post": "LayerNorm", "skip": "Linear(8)", "scale": "0.5"}


@pytest.mark.parametrize("chosen", [c for c in product([False, True], repeat=7) if sum(c) <= 3 or all(c)])
def test_a_residual_is_its_formula(chosen: tuple[bool, ...]) -> None:
    given = {part: VALUES.get(part, "0.3") for part, on in zip(PARTS, chosen, strict=True) if on}
    options = ", ".join(f"{name} = {value}" for name, value in given.items())
    head = f"({options})" if options else ""
    model, _ = emitted(f"  residual{head} {{ mlp: Linear(8) }}")
    norms = [part for part in ("pre", "out", "post") if part in given]

    def norm(part: str, value: Tensor) -> Tensor:
        if part not in given:
            return value
        return getattr(model, f"mlp_{part}_norm" if len(norms) > 1 else "mlp_norm")(value)

    h = norm("out", model.mlp(norm("pre", X)))
    h = h * model.mlp_layer_scale if "layer_scale" in given else h
    h = h * model.mlp_gain if "gain" in given else h
    side = model.mlp_skip(X) if "skip" in given else X
    side = 0.5 * side if "scale" in given else side
    same(model(X), norm("post", side + h))


@pytest.mark.parametrize(("shape", "code"), [("B, C", 1), ("B, T, C", 1), ("B, 1", 0), ("B, T, 8", 0)], ids=str)
def test_a_number_for_each_channel_wants_their_count(
    write: Write, capsys: pytest.CaptureFixture[str], shape: str, code: int
) -> None:
    text = "dlspec 1\nmodel M: (x: [S]) -> (y: [S]) {\n  residual(FACTOR = 0.1) { tanh }\n}\n".replace("S", shape)
    assert main(["check", write(text.replace("FACTOR", "layer_scale"))]) == code
    said = capsys.readouterr()
    asked = f"`layer_scale` has a number for each channel, and how many channels [{shape}] has is open"
    assert (asked in said.out + said.err) == (code != 0)
    assert ("`gain` is one number for all" in said.out + said.err) == (code != 0)
    assert main(["check", write(text.replace("FACTOR", "gain"))]) == 0


def test_a_gate_weighs_both_sides() -> None:
    model, _ = emitted("  residual(gate = Linear(8) -> sigmoid, post = LayerNorm) { f: Linear(8) -> relu }")
    g = torch.sigmoid(model.gate(X))
    same(model(X), model.norm(g * F.relu(model.f(X)) + (1 - g) * X))


def test_a_gate_over_several_modules_is_a_level_of_its_own() -> None:
    model, _ = emitted("  residual(gate = Linear(4) -> relu -> Linear(8) -> sigmoid) { mlp: Linear(8) }")
    assert keys(model) == ["mlp", "mlp_gate.linear", "mlp_gate.linear_2"]


def test_deepnorm_takes_its_numbers_from_the_depth() -> None:
    body = (
        "  layers: repeat(6) { residual(post = LayerNorm, scale = deepnorm) { attn: SelfAttention(2, bias = false) } }"
    )
    artefact = compile(Source("m.dlspec", f"dlspec 1\nmodel M: (x: [B, T, 8]) -> (y: [B, T, 8]) {{\n{body}\n}}\n"))
    model = load_text("m", artefact.model_code).M()
    plain = compile(Source("m.dlspec", artefact_source(body.replace(", scale = deepnorm", ""))))
    other = load_text("m", plain.model_code).M()
    for each in (model, other):
        each.init_weights(torch.Generator().manual_seed(0))
    shrunk = (8 * 6) ** -0.25
    for mine, theirs in zip(model.layers, other.layers, strict=True):
        for label, factor in (("q", 1.0), ("k", 1.0), ("v", shrunk), ("o", shrunk)):
            same(getattr(mine.attn, label).weight, factor * getattr(theirs.attn, label).weight)
    x = X
    for layer in model.layers:
        x = layer.attn_norm((2 * 6) ** 0.25 * x + layer.attn(x))
    same(model(X), x)


def artefact_source(body: str) -> str:
    return f"dlspec 1\nmodel M: (x: [B, T, 8]) -> (y: [B, T, 8]) {{\n{body}\n}}\n"


def _share(model: Any, x: Tensor) -> Tensor:
    for _ in range(3):
        x = torch.tanh(model.w(x))
    return x


def _dense(model: Any, x: Tensor) -> Tensor:
    x = torch.cat([x, model.d(x)], -1)
    return model.out(torch.cat([x, model.e(x)], -1))


def _branches(model: Any, x: Tensor) -> Tensor:
    return torch.cat([model.a(x), x[..., :0], torch.relu(model.b(x))], -1)


def _gated(model: Any, x: Tensor) -> Tensor:
    g = model.glu
    return g.down(F.silu(g.gate(x)) * g.up(x))


def _borrowed(model: Any, x: Tensor) -> Tensor:
    x = model.first(x)
    x = model.part.b(model.first(model.part.a(x)))
    for _ in range(2):
        x = x + model.first(x)
    return model.part.b(x)


def _named(model: Any, x: Tensor) -> Tensor:
    p, q = x.chunk(2, -1)
    return torch.cat([p * q, (p - q).exp().clamp(max=2)], -1)


def _again(model: Any, x: Tensor) -> Tensor:
    return model.blocks[1].f(torch.relu(model.blocks[0].f(x))) + model.blocks[0].f(x)


MEANINGS: dict[str, tuple[str, str, Callable[[Any, Tensor], Tensor], list[str]]] = {
    "share": ("", "  share(3) { w: Linear(8) -> tanh }", _share, ["w"]),
    "dense": ("", "  dense { d: Linear(4) }\n  dense { e: Linear(3) }\n  out: Linear(8)", _dense, ["d", "e", "out"]),
    "branches": ("", "  [a: Linear(5), b: Linear(3) -> relu] -> concat", _branches, ["a", "b"]),
    "gated": (
        "",
        "  glu: { (gate: Linear(16) -> silu) * up: Linear(16) -> down: Linear(8) }",
        _gated,
        ["glu.gate", "glu.up", "glu.down"],
    ),
    "borrowed": (
        "",
        "  first: Linear(8)\n  part: { a: Linear(8) -> first -> b: Linear(8) }\n"
        "  repeat(2) { residual { first } }\n  part.b",
        _borrowed,
        ["first", "part.a", "part.b"],
    ),
    "named": (
        "",
        "  split(2) as p, q\n  p * q as m\n  p - q -> exp -> min(identity, 2) as e\n  m -> concat(e)",
        _named,
        [],
    ),
    "again": (
        "",
        "  blocks: repeat(2) { f: Linear(8) -> relu } as z\n  x -> blocks.0.f -> relu -> blocks.1.f as u\n"
        "  x -> blocks.0.f as v\n  u + v + 0 * z",
        _again,
        ["blocks.0.f", "blocks.1.f"],
    ),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_a_combinator_is_what_it_says(name: str) -> None:
    before, body, formula, labels = MEANINGS[name]
    model, _ = emitted(body, before)
    assert keys(model) == labels
    same(model(X), formula(model, X))


@pytest.mark.parametrize(
    "around", ["checkpoint {", "checkpoint { checkpoint { checkpoint {", "share(1) { checkpoint {"]
)
def test_recomputing_changes_no_gradient(around: str) -> None:
    body = (
        "residual(pre = LayerNorm) { attn: SelfAttention(2, dropout = 0.1) -> Dropout(0.2) -> up: Linear(8) -> tanh }"
    )
    plain, _ = emitted(f"  {body}")
    kept, artefact = emitted(f"  {around} {body} {'}' * around.count('{')}")
    assert artefact.model_code.count("use_reentrant=False") == 1
    assert "for _ in" not in artefact.model_code
    assert "checkpoint(" not in artefact.export_code
    found = []
    for model in (plain, kept):
        model.train()
        torch.manual_seed(3)
        model(X).square().sum().backward()
        found.append([p.grad for p in model.parameters()])
    for mine, theirs in zip(*found, strict=True):
        assert torch.equal(mine, theirs)


def test_a_tie_reaches_into_the_parts_around() -> None:
    body = "  wte: Linear(8)\n  repeat(2) { lm: { head: Linear(8, weight = wte.weight, bias = false) } }"
    model, artefact = emitted(body)
    assert keys(model) == ["wte"]
    assert model.layers[1].lm.head.weight is model.wte.weight
    same(model(X), F.linear(F.linear(model.wte(X), model.wte.weight), model.wte.weight))
    state = dict(model.state_dict())
    fresh = load_text("m", artefact.model_code).M()
    fresh.load_state_dict(state)
    same(fresh.eval()(X), model(X))


def test_functions_of_the_file_are_functions_of_the_module() -> None:
    before = """
half = 0.5
sq(x) = max(x, 0) ^ 2
cap(x, limit = 30) = limit * tanh(sq(x) / limit)
mix(a, b, t) = a * t + b * (half - t)
"""
    body = "  up: Linear(8) -> cap(limit = 3) as u\n  x -> sq as v\n  mix(u, v, 0.25)"
    model, artefact = emitted(body, before)
    u = 3 * torch.tanh(model.up(X).clamp(min=0) ** 2 / 3)
    same(model(X), u * 0.25 + X.clamp(min=0) ** 2 * (0.5 - 0.25))
    assert "def cap(x: Tensor, limit: float = 30" in artefact.model_code


def test_models_stand_in_models() -> None:
    text = (
        "dlspec 1\n"
        "model Inner: (z: [B, 4]) -> (a: [B, 3], b: [B, 2]) { l: Linear(5) -> tanh as both\n"
        "  both -> Linear(3) as a\n  both -> Linear(2) as b }\n"
        "model M: (x: [B, 4]) -> (y: [B, 5]) { inner: Inner as p, q\n  p -> concat(q) }\n"
    )
    artefact = compile(Source("m.dlspec", text))
    model = load_text("m", artefact.model_code).M()
    model.init_weights(torch.Generator().manual_seed(0))
    x = torch.randn(3, 4)
    a, b = model.inner(x)
    same(model(x), torch.cat([a, b], 1))
    assert keys(model) == ["inner.l", "inner.linear", "inner.linear_2"]


def test_what_torchscript_cannot_run_is_known_before() -> None:
    _, shared = emitted("  first: Linear(8)\n  part: { a: { first } }")
    _, own = emitted("  first: Linear(8)\n  part: { a: Linear(8) }\n  part.a")
    assert lends(shared.graph.model) == "first"
    assert lends(own.graph.model) is None
    torch.jit.script(load_text("m", own.export_code).M())
