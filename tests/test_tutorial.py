"""The tutorial, followed as it stands: every command and edit of it, in an empty directory, says what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BIN = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def shell(script: str, folder: Path) -> str:
    """What commands print, on both outputs."""
    environment = {**os.environ, "PATH": BIN, "PYTHONPATH": "runs/first"}
    run = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return run.stdout


def edit(path: Path, lines: str) -> None:
    """Each line with a minus becomes the line with a plus below it."""
    text = path.read_text(encoding="utf-8")
    for old, new in re.findall(r"^-(.*)\n\+(.*)$", lines, re.MULTILINE):
        assert text.count(f"{old}\n") == 1, old
        text = text.replace(f"{old}\n", f"{new}\n")
    path.write_text(text, encoding="utf-8")


def pattern(shown: str) -> re.Pattern[str]:
    """`...` stands for anything within a line; alone on a line, for any lines."""
    lines = [
        r"(?:[^\n]*\n)*?" if line == "..." else re.escape(line).replace(re.escape("..."), r"[^\n]*") + r" *\n"
        for line in shown.splitlines()
    ]
    return re.compile("".join(lines))


def follow(page: str, folder: Path) -> None:
    said = ""
    for language, name, text in BLOCK.findall(page):
        match language:
            case "sh":
                said = shell(text, folder)
            case "python":
                (folder / "program.py").write_text(text, encoding="utf-8")
                said = shell("python program.py", folder)
            case "diff":
                edit(folder / name, text)
            case "dlspec":
                assert text in (folder / name).read_text(encoding="utf-8")
            case "text":
                assert pattern(text).fullmatch(said if said.endswith("\n") else f"{said}\n"), f"{text}\n---\n{said}"
            case _:
                raise AssertionError(f"nothing is done with a block of {language}")


def test_its_first_part_is_what_happens(tmp_path: Path) -> None:
    """Without a framework: up to where something is trained."""
    follow(PAGE.partition("## 4.")[0], tmp_path)


@pytest.mark.slow
def test_all_of_it_is_what_happens(tmp_path: Path) -> None:
    follow(PAGE, tmp_path)


def test_every_command_has_its_output() -> None:
    """But the one that copies a file, which has none."""
    followed = [
        (text, after) for (language, _, text), (after, _, _) in pairwise(BLOCK.findall(PAGE)) if language == "sh"
    ]
    assert [text for text, after in followed if after != "text"] == ["cp zen.dlspec post.dlspec\n"]


def test_no_link_is_dead(repo: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (repo / "docs" / target).exists(), target


@pytest.mark.parametrize(
    ("shown", "said", "same"),
    [
        ("a ... c\n", "a b c\n", True),
        ("a ... c\n", "a b d\n", False),
        ("a\n...\nb\n", "a\nb\n", True),
        ("a\n...\nb\n", "a\n1\n2\nb\n", True),
        ("a\n...\nb\n", "a\n1\n2\nc\n", False),
        ("a\n", "a\nb\n", False),
    ],
)
def test_an_ellipsis_hides_no_more_than_it_should(shown: str, said: str, same: bool) -> None:
    assert (pattern(shown).fullmatch(said) is not None) is same
