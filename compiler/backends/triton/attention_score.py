"""A score's own function in the kernels: itself, its derivative by the score, and those by its weights."""

from __future__ import annotations

from collections.abc import Sequence

from ...layers.score import ScoreFunction
from ...scalars import variables
from ...scalars.differentiate import differentiate
from ...scalars.expression import Expression
from ...scalars.print_triton import print_triton
from ...scalars.simplify import simplify
from ..pytorch.layout import fit


def score_functions(score: ScoreFunction) -> dict[str, str]:
    """What stands in for the templates' example, by name."""
    by_s = simplify(differentiate(score.expression, "s"))
    found = {
        "score": _function("score", "s, q, k, h, weights, heads", score, [score.expression], "return {}"),
        "score_by_s": _function("score_by_s", "s, q, k, h, weights, heads", score, [by_s], "return {}"),
    }
    derivatives = [simplify(differentiate(score.expression, name)) for name in score.by_head]
    lanes = " + ".join(f"tl.where(lane == {i}, tl.sum({_share(one)}), 0.0)" for i, one in enumerate(derivatives))
    if derivatives:
        found["score_by_weights"] = _function(
            "score_by_weights",
            "change, s, q, k, h, weights, heads, LANES: tl.constexpr",
            score,
            derivatives,
            f"return {lanes}",
            ["lane = tl.arange(0, LANES)"],
        )
    return found


def _share(derivative: Expression) -> str:
    """Of a score that nobody sees no derivative need be a number."""
    share = "change * ({})"
    return f"tl.where(change == 0.0, 0.0, {share})" if "s" in variables(derivative) else share


def _function(
    name: str, parameters: str, score: ScoreFunction, values: list[Expression], form: str, first: Sequence[str] = ()
) -> str:
    read = frozenset().union(*(variables(value) for value in values))
    lines = [f"{place} = {place}.to(tl.float32)" for place in ("q", "k") if place in read]
    for i, weight in enumerate(score.by_head):
        if weight in read:
            at = "h" if i == 0 else f"{i} * heads + h"
            lines.append(f"weight_{weight} = tl.load(weights + {at}).to(tl.float32)")
    if "h" in read:
        lines.append("head = h.to(tl.float32)")
    names = {**{place: place for place in "sqk"}, "h": "head"} | {one: f"weight_{one}" for one in score.by_head}
    printed = [print_triton(value, name=lambda read_name: names[read_name]) for value in values]
    body = [*first, *lines, form.format(*printed)]
    text = [f"def {name}({parameters}):", *(f"    {line}" for line in body)]
    return "\n".join(["@triton.jit", *(part for line in text for part in fit(line))]) + "\n"
