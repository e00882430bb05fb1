"""Slips in the names of sections, settings and options, and damage to whole lines, in real specs.

Each slip is an error on its line, or the spec means the same; none becomes another model or recipe.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlspec.compiler.ir.text import graph_text
from dlspec.compiler.pipeline import Analysis, analyse
from dlspec.grammar import Source, parse, tree

pytestmark = pytest.mark.no_torch
ROOT = Path(__file__).resolve().parent
CONTRACT = ROOT.parent.parent / "shared" / "design" / "specs"
SPECS = sorted([*(ROOT.parent / "specs").glob("*.dlspec"), *CONTRACT.glob("*.dlspec")])


def analysed(path: Path, text: str) -> Analysis:
    return analyse(Source(str(path), text))


def meaning(analysis: Analysis) -> object:
    """What is made of a spec: the graphs, and the plans of its recipes and exports."""
    graphs = {name: graph_text(graph) for name, graph in analysis.graphs.items()}
    notes = [d.message for d in analysis.diagnostics]
    return graphs, repr(analysis.recipes), repr(analysis.exports), notes


def names_of(text: str) -> Iterator[tree.Name]:
    """Options, settings and sections' models, labels and phases apart: a new one is a new name."""
    file, findings = parse(Source("n.dlspec", text))
    assert findings == []
    for item in file.items:
        for node in tree.walk(item):
            match node:
                case tree.Keyword(name=name):
                    yield name
                case tree.Train(model=name) | tree.Export(model=name):
                    yield name
                case tree.Binding(name=name) if isinstance(item, tree.Train):
                    yield name


def slips(word: str, draw: random.Random) -> list[str]:
    """One character dropped, one doubled, two swapped, one replaced, each where the draw says."""
    i = draw.randrange(len(word))
    j = draw.randrange(len(word) - 1) if len(word) > 1 else 0
    dropped, doubled = word[:i] + word[i + 1 :], word[:i] + word[i] + word[i:]
    swapped = word[:j] + word[j : j + 2][::-1] + word[j + 2 :]
    replaced = word[:i] + draw.choice("xe") + word[i + 1 :]
    return [slip for slip in dict.fromkeys([dropped, doubled, swapped, replaced]) if slip and slip != word]


def caught(path: Path) -> Counter[str]:
    """A slip of each kind in each name of a spec: how many are told with which code, or mean the same."""
    text = path.read_text(encoding="utf-8")
    right = analysed(path, text)
    assert not right.failed
    draw = random.Random(path.name)
    codes: Counter[str] = Counter()
    for name, slip in [(one, slip) for one in names_of(text) for slip in slips(one.text, draw)]:
        found = analysed(path, text[: name.span.start] + slip + text[name.span.end :])
        errors = [d for d in found.diagnostics if d.severity == "error"]
        if not errors:
            assert meaning(found) == meaning(right), (
                f"{path.name}: `{name}` as `{slip}` passes and means something else"
            )
            codes["means the same"] += 1
            continue
        lines = {d.span.line for d in errors}
        told = f"{path.name}:{name.span.line}: `{name}` as `{slip}`: {[(d.span.line, d.code) for d in errors]}"
        assert name.span.line in lines or any(slip in d.message for d in errors), told
        assert len(errors) <= 2, told
        codes[next((d.code for d in errors if d.span.line == name.span.line), errors[0].code)] += 1
    return codes


@pytest.mark.slow
def test_a_slip_is_an_error_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    codes: Counter[str] = Counter()
    for path in SPECS:
        codes += caught(path)
    with capsys.disabled():
        print(f"\n  {codes.total():,} slips in {len(SPECS)} specs:")
        print("\n".join(f"  {count:6,} {code}" for code, count in codes.most_common()))


# --- damage to lines -----------------------------------------------------------------------------------------------

DAMAGE = {
    "a bracket dropped": lambda line: [line[:i] + line[i + 1 :] for i, c in enumerate(line) if c in "()[]"],
    "a brace dropped": lambda line: [line[:i] + line[i + 1 :] for i, c in enumerate(line) if c in "{}"],
    "an operator doubled": lambda line: [
        line[: m.start()] + m[0] + line[m.start() :]
        for m in re.finditer(r"->|[+*=:]", line)
        if line.count('"', 0, m.start()) % 2 == 0
    ],
    "an operator dropped": lambda line: [
        f"{line[: m.start()]} {line[m.end() :]}" for m in re.finditer(r" (?:->|[+*=]) ", line)
    ],
    "a number replaced by a text": lambda line: [
        f'{line[: m.start()]}"many"{line[m.end() :]}'
        for m in re.finditer(r"(?<![\w.\"/])\d[\d_.e-]*(?![\w.\"]|%)", line)
    ],
    "a quote dropped": lambda line: [line[:i] + line[i + 1 :] for i, c in enumerate(line) if c == '"'],
    # What fields a file has is known where it is read, and an index may be called anything.
    "a name replaced": lambda line: [
        f"{line[: m.start()]}nonesuch{line[m.end() :]}"
        for m in re.finditer(r"(?<!data\.)(?<!index = )\b[a-z_]\w*(?=[,)\]]| ->| [-+*/])", line)
    ],
    "rubbish put in": lambda line: [f"{line} 7 8", f"{line} )", f"$ {line}"],
}

BESIDE = ("a bracket dropped", "a brace dropped", "rubbish put in")
"""What may be told on the line before or behind: where a bracket would stand is seen by what stands around it."""


def damaged(path: Path) -> Iterator[tuple[str, int, str]]:
    """What was done, on which line, and the text."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for i, line in enumerate(lines):
        code = line.partition("#")[0].rstrip()
        if i == 0 or not code:
            continue
        for kind, damage in DAMAGE.items():
            for changed in damage(code):
                yield kind, i + 1, "\n".join([*lines[:i], changed, *lines[i + 1 :], ""])


@pytest.mark.slow
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_damage_to_a_line_is_refused_there(path: Path) -> None:
    """One damage to each line, drawn from all there are."""
    by_line: dict[int, list[tuple[str, str]]] = {}
    for kind, line, text in damaged(path):
        by_line.setdefault(line, []).append((kind, text))
    draw = random.Random(path.name)
    for line, choices in by_line.items():
        kind, text = draw.choice(choices)
        errors = [d for d in analysed(path, text).diagnostics if d.severity == "error"]
        changed = text.splitlines()[line - 1]
        assert errors, f"{path.name}:{line}: {kind} passes: {changed}"
        spans = [
            span for d in errors for span in (d.span, *(span for span, _ in d.labels), *(fix.span for fix in d.fixes))
        ]
        near = {text.count("\n", 0, offset) + 1 for span in spans for offset in (span.start, span.end)}
        fitting = {line - 1, line, line + 1} if kind in BESIDE else {line}
        assert fitting & near, f"{path.name}:{line}: {kind}: {changed} is told on {sorted(near)}"
