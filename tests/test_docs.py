"""The language reference is what the classes of the language say, and every example in it is what it is said to be."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from dlspec.cli.codes import read_codes
from dlspec.cli.main import VERBS, main
from dlspec.compiler.layers import registry
from dlspec.compiler.semantics.combinators import ENTRIES
from dlspec.compiler.training import registry as training_registry
from dlspec.compiler.training.key_pages import KEY_PAGES

pytestmark = pytest.mark.no_torch

FOLDERS = "augmentations data formats inits losses metrics optimizers parallel schedules starts".split()


@pytest.fixture(scope="module")
def reference(repo: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in (repo / "docs" / "reference").glob("*.md")}


@pytest.fixture
def dlspec(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints."""

    def run(*words: str) -> str:
        assert main(words) == 0
        return capsys.readouterr().out

    return run


def headings(page: str) -> list[str]:
    return [line.lstrip("# ").strip("`") for line in page.splitlines() if re.match(r"#{2,3} ", line)]


def test_the_pages_are_up_to_date(repo: Path, reference: dict[str, str], tmp_path: Path) -> None:
    """`make docs` writes them. It holds every example against the language, and stops at one that is not right."""
    run = subprocess.run(
        [sys.executable, repo / "docs" / "generate.py", tmp_path], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.md")}
    assert set(written) == set(reference)
    for name, text in written.items():
        assert text == reference[name], f"docs/reference/{name} is out of date: `make docs`"


def test_help_writes_nothing(repo: Path, tmp_path: Path) -> None:
    program = [sys.executable, repo / "docs" / "generate.py", "--help"]
    run = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "usage: generate.py" in run.stdout and not list(tmp_path.iterdir())


def test_every_word_of_the_language_has_its_entry(reference: dict[str, str]) -> None:
    assert set(registry.words()) <= set(headings(reference["layers.md"]))
    assert set(ENTRIES) <= set(headings(reference["combinators.md"]))
    assert set(KEY_PAGES) <= set(headings(reference["training.md"]))
    called = {*headings(reference["training.md"]), *headings(reference["export.md"])}
    assert {word for folder in FOLDERS for word in training_registry.words(folder)} <= called
    assert [f"dlspec {verb}" for verb in VERBS] == headings(reference["commands.md"])
    assert sorted(read_codes()) == headings(reference["errors.md"])


def test_no_word_has_two_entries(reference: dict[str, str]) -> None:
    for name in ("layers.md", "combinators.md", "errors.md", "commands.md"):
        found = headings(reference[name])
        assert len(found) == len(set(found)), name


def test_every_option_of_every_verb_is_there(reference: dict[str, str], dlspec: Callable[..., str]) -> None:
    """Those that all verbs take stand once, at the top."""
    top, *sections = re.split(r"^## dlspec ", reference["commands.md"], flags=re.MULTILINE)
    for section in sections:
        verb = section.split()[0]
        flags = set(re.findall(r"(?<=\s)--[a-z-]+", dlspec(verb, "--help").split("options:", 1)[1]))
        told = set(re.findall(r"`(?:-[a-z], )?(--[a-z-]+)", top + section))
        assert flags <= told, verb


# --- the check itself --------------------------------------------------------------------------------------------


@pytest.fixture
def samples(repo: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(repo / "docs")
    return import_module("sections.samples")


RIGHT = "model Net: (x: [B, 8]) -> (y: [B, 4]) {\n  Linear(4)\n}\n"
WRONG = "dlspec 1\n" + RIGHT.replace("4)\n", "5)\n")


@pytest.mark.parametrize(
    ("fence", "text"),
    [
        ("", RIGHT),
        ("", "block Mlp { Linear(8) }\n"),
        ("wrong shape-mismatch", WRONG),
        ("in train", "batch = 3\ndata = digits -> mixup(0.2)\n"),
    ],
)
def test_a_right_example_passes(samples: ModuleType, fence: str, text: str) -> None:
    samples.check(f"A page.\n\n```dlspec {fence}\n{text}```\n")


@pytest.mark.parametrize(
    ("fence", "text"),
    [
        ("", WRONG),
        ("", RIGHT.replace("Linear", "Liner")),
        ("wrong shape-mismatch", f"dlspec 1\n{RIGHT}"),
        ("wrong shape-mismatch", WRONG.removeprefix("dlspec 1\n")),
        ("wrong unknown-name", WRONG),
        ("wrong shape-mismatch", WRONG + "widht = 3\nwidht = 4\n"),
        ("in train", "batch = 3\nbtach = 3\n"),
        ("in train", "data = digits -> mixup(0)\n"),
        ("shown", RIGHT),
    ],
)
def test_an_example_that_is_not_what_it_is_said_to_be_stops_the_page(
    samples: ModuleType, fence: str, text: str
) -> None:
    with pytest.raises(samples.WrongExample):
        samples.check(f"A page.\n\n```dlspec {fence}\n{text}```\n")


def test_no_link_is_dead(repo: Path, reference: dict[str, str]) -> None:
    for name, text in reference.items():
        for target, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", text):
            page = reference.get(target or name) or (repo / "docs" / "reference" / target).read_text(encoding="utf-8")
            anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings(page)}
            assert not anchor or anchor in anchors, f"{name}: {target}#{anchor}"
