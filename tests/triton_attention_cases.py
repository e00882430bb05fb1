"""Sets of features of the attention kernels, and the kernels that are specialised for them, for the tests of both."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
import triton_attention
from torch import Tensor
from triton_attention import Options, Tiles

from dlspec.compiler.backends.triton.specialise import Specialised, specialise

FORWARD = "attention_forward.attention_forward"
BACKWARD = [f"attention_backward.attention_{name}" for name in ("delta", "backward_keys", "backward_queries")]
BIAS = "attention_bias.attention_backward_bias"
DOCUMENTS = "attention_documents.attention_spans"
CHOSEN_AT_LAUNCH = {"BLOCK_M", "BLOCK_N", "STAGES", "LANES", "BLOCK", "STEP"}

FACTORS: dict[str, tuple[Any, ...]] = {
    "causal": (False, True),
    "window": (None, 9),
    "prefix": (None, 21, "each"),
    "documents": (False, True),
    "mask": (None, "keys", "pairs"),
    "softcap": (None, 1.5),
    "weights": (None, "learned", "fixed"),
    "bias": (None, "one", "each"),
    "slopes": (False, True),
    "drop": (0.0, 0.25),
    "longer": (False, True),
    "described": (False, True),
    "width": (16, 24),
    "group": (1, 2),
    "length": (32, 27),
    "value_width": (None, 32),
}
Case = dict[str, Any]


def possible(case: Mapping[str, Any]) -> bool:
    """What a language or a machine rules out; `case` may have some of the factors only."""
    whole_tiles = case.get("width", 16) == 16
    return (
        not (case.get("prefix") and case.get("causal") is False)
        and not (case.get("documents") and case.get("longer"))
        and not (case.get("described") and not whole_tiles)
    )


def pairwise_cover(factors: Mapping[str, Sequence[Any]]) -> list[Case]:
    """Cases in which every possible pair of values of two factors occurs, greedily few."""
    draw = random.Random(4)
    left = {
        ((a, x), (b, y))
        for a, b in itertools.combinations(factors, 2)
        for x, y in itertools.product(factors[a], factors[b])
        if possible({a: x, b: y})
    }
    cases: list[Case] = []
    while left:
        tries = [_case_with(factors, case, draw) for case in draw.choices(sorted(left, key=repr), k=30)]
        best = max(tries, key=lambda case: sum(pair in left for pair in itertools.combinations(case.items(), 2)))
        left -= set(itertools.combinations(best.items(), 2))
        cases.append(best)
    return cases


def _case_with(factors: Mapping[str, Sequence[Any]], pair: tuple[tuple[str, Any], ...], draw: random.Random) -> Case:
    while True:
        case = {name: draw.choice(values) for name, values in factors.items()} | dict(pair)
        if possible(case):
            return case


COVER = pairwise_cover(FACTORS)
PLAIN = {name: values[0] for name, values in FACTORS.items()}
CAUSAL = PLAIN | {"causal": True}
SOME = [CAUSAL, *COVER[:3]]


def shown(case: Case) -> str:
    return " ".join(f"{name}={value}" for name, value in case.items() if value != PLAIN[name]) or "plain"


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def inputs(case: Case) -> tuple[list[Tensor], Options, Tiles]:
    """q, k, v, d_out; what is asked for; how it is tiled."""
    T, heads = case["length"], 2
    S = T + 13 if case["longer"] else T
    shapes = [(T, heads), (S, heads // case["group"]), (S, heads // case["group"]), (T, heads)]
    width, value_width = case["width"], case["value_width"] or case["width"]
    widths = (width, width, value_width, value_width)
    tensors = [numbers(1, *shape, width, seed=i) for i, (shape, width) in enumerate(zip(shapes, widths, strict=True))]
    masks = {"keys": (1, S), "pairs": (1, T, S), None: (1,)}
    tables = {"one": (heads, T, S), "each": (1, heads, T, S)}
    options = Options(
        causal=case["causal"],
        window=case["window"],
        prefix=torch.tensor([21], dtype=torch.int32) if case["prefix"] == "each" else case["prefix"],
        documents=torch.arange(T, dtype=torch.int32)[None] // 10 if case["documents"] else None,
        mask=numbers(*masks[case["mask"]], seed=4) > -0.5 if case["mask"] else None,
        softcap=case["softcap"],
        weights=numbers(1, heads, seed=5) if case["weights"] else None,
        learned=case["weights"] == "learned",
        bias=numbers(*tables[case["bias"]], seed=6) if case["bias"] else None,
        slopes=numbers(heads, seed=7).abs() if case["slopes"] else None,
        drop=case["drop"],
        seed=torch.tensor([5]) if case["drop"] else None,
    )
    return tensors, options, Tiles(16, 16, case["described"])


def constants(case: Case) -> dict[str, Any]:
    (q, k, v, _), options, tiles = inputs(case)
    given = {**triton_attention._constants(q, k, v, options, tiles), "LEARNED": options.learned}
    return {name: value for name, value in given.items() if name not in CHOSEN_AT_LAUNCH}


@cache
def _specialised(items: tuple[tuple[str, Any], ...]) -> Specialised:
    return specialise(roots(dict(items)), written(dict(items)))


def roots(case: Case) -> list[str]:
    return [*([DOCUMENTS] if case["documents"] else []), FORWARD, *BACKWARD, *([BIAS] if case["bias"] else [])]


def written(case: Case) -> dict[str, Any]:
    """The constants as they are for the text: of values as wide as keys by the names of those."""
    same = {} if case["value_width"] else {"VALUE_WIDTH": "WIDTH", "VALUE_PADDED": "PADDED"}
    return constants(case) | same


def kernels(case: Case) -> Specialised:
    return _specialised(tuple(case.items()))


def file_text(kernels: Specialised) -> str:
    blank = "\n\n\n" if kernels.text.startswith("@") else "\n\n"
    return "\n".join(kernels.imports) + blank + kernels.text
