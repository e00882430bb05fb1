"""A module used again by its path gets what it took where it was made, and what is not in sight there is an error."""

from __future__ import annotations

from typing import Any

import torch

from dlspec.compiler.pipeline import analyse, compile
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

HEAD = "dlspec 1\nmodel M: (x: [B, T, 4], m: [B, T, 4]) -> (y: [B, T, 4]) {\n"


def model_of(body: str) -> Any:
    code = compile(Source("m.dlspec", f"{HEAD}{body}\n}}\n")).model_code
    model: Any = load_text("m", code).M()
    model.init_weights(torch.Generator().manual_seed(0))
    return model.double()


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return tuple(torch.randn(2, 3, 4, dtype=torch.float64, generator=draw) for _ in range(2))  # type: ignore[return-value]


def test_a_part_of_a_part_takes_what_it_took() -> None:
    model = model_of("x -> a: { b: { Linear(4) * m } -> relu } -> a.b")
    x, m = inputs()
    inner = model.a.b.linear
    assert torch.equal(model(x, m), inner((inner(x) * m).relu()) * m)


def test_so_does_a_copy_and_what_is_inside_it() -> None:
    model = model_of("x -> blocks: repeat(2) { part: { l: Linear(4) * m } } -> blocks.1.part -> blocks.0")
    x, m = inputs()
    one, other = (block.part.l for block in model.blocks)
    assert torch.equal(model(x, m), one(other(other(one(x) * m) * m) * m) * m)


def test_it_is_handed_into_the_part_that_uses_it() -> None:
    model = model_of("x -> a: { b: { Linear(4) * m } -> relu } -> c: { a.b -> tanh }")
    x, m = inputs()
    inner = model.a.b.linear
    assert torch.equal(model(x, m), (inner((inner(x) * m).relu()) * m).tanh())


def test_a_layer_takes_its_memory_again() -> None:
    model = model_of("x -> a: { b: CrossAttention(2, memory = m) } -> a.b")
    x, m = inputs()
    assert torch.equal(model(x, m), model.a.b(model.a.b(x, m), m))


def test_what_is_worked_out_inside_is_not_in_sight_outside() -> None:
    body = "m\n  x -> a: {\n    Linear(4) as q\n    q -> b: { Linear(4) * q }\n  }\n  a.b + m"
    found = [d for d in analyse(Source("m.dlspec", f"{HEAD}{body}\n}}\n")).diagnostics if d.severity == "error"]
    said = [d.message for d in found if d.code == "unknown-name"]
    assert said == ["`a.b` takes what is worked out inside `a`, which is not in sight here"]


def test_experts_and_momentum_copies_take_what_fits_them() -> None:
    def errors(body: str) -> list[str]:
        diagnostics = analyse(Source("m.dlspec", f"{HEAD}x * m\n{body}\n}}\n")).diagnostics
        return [d.message for d in diagnostics]

    assert errors("moe: experts(2, balance = 0) { Linear(4) }\nmoe") == []
    assert errors("f: Linear(4)\nslow: momentum_copy(f, 0.9)\nslow") == []
    assert errors("moe: experts(2, balance = 0) { Linear(5) }\nmoe")[0].startswith("`moe` was made for [B, T, 4]")
    narrow = errors("f: Linear(4)\nslow: momentum_copy(f, 0.9)\nLinear(5)\nslow")
    assert narrow[0] == "`slow` was made for [B, T, 4], and [B, T, 5] comes in here"
