"""A renaming to a name that nothing has comes out as the whole analysis would have it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.editor import rename as renaming
from dlspec.editor.document import Analysed, Document
from dlspec.editor.imports import Files
from dlspec.editor.rename import Refusal, rename
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch

SPECS = sorted((Path(__file__).parents[1] / "specs").glob("*.dlspec"))
SMALL = (
    "forward training linear linear_2 relu x y weight bias nn class match _hidden attn_norm layers kernels identity "
    "out data epoch tanh causal dtype init_weights residual loss torch tokens label zz last i depth sum list int"
).split()
CAPITAL = "Module Tensor Self T B Net Attention None Any F H Exception Block Config Callable Parameter Zz".split()


def verdict(document: Document, offset: int, name: str) -> str:
    """What the editor is told: `taken`, or why not."""
    try:
        (made,) = rename(document, offset, name)
        made.check(Analysed(document, analyse(document.source, read=document.files.read)))
    except Refusal as refusal:
        return str(refusal)
    return "taken"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_as_the_analysis_says(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    judge, alone = renaming._is_free, 0
    for path in draw.sample(SPECS, 8):
        source = Source(str(path), path.read_text(encoding="utf-8"))
        document = Document("file:///spec.dlspec", 1, source, "utf-16", Files())
        symbols = list(document.index.symbols())
        for symbol in draw.sample(symbols, min(5, len(symbols))):
            words = CAPITAL if symbol.name[0].isupper() else SMALL
            name = draw.choice([*words, *(f"{one.name}{draw.choice(['', '_norm', '_2'])}" for one in symbols)])
            with monkeypatch.context() as changed:
                changed.setattr(renaming, "_is_free", lambda *at: False)
                expected = verdict(document, symbol.span.start, name)
            quick = verdict(document, symbol.span.start, name)
            assert quick == expected, (path.name, symbol.kind, symbol.name, name)
            alone += judge(document, symbol, name)
    assert alone > 12  # of 40: many of the names are chosen to be taken
