"""Names of files, and what no file may say."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_torch

SAY_NOTHING = re.compile(r"(^|_)(utils?|helpers?|managers?|misc)$")
# Where Python 3.14 knows more modules than the Python that runs this.
STANDARD = sys.stdlib_module_names | {"annotationlib", "compression"}
ANYBODYS_HOME = re.compile(rb"/(?:home|Users)/[a-z]\w*/|[A-Z]:\\Users\\\w")


def machine_paths(repo: Path) -> list[bytes]:
    """Paths that only this machine has: the home directory and the folder that the checkout lies in."""
    folders = {Path.home(), repo.parent} - {Path("/"), Path(tempfile.gettempdir())}
    return [f"{folder}/".encode() for folder in sorted(folders)]


def tells_of_the_machine(text: bytes, paths: list[bytes]) -> bool:
    return any(path in text for path in paths) or ANYBODYS_HOME.search(text) is not None


def misnamed(name: str) -> str | None:
    """What is wrong with the path of a Python file, from the root."""
    for part in (*Path(name).parent.parts, Path(name).stem):
        if SAY_NOTHING.search(part):
            return f"{name}: `{part}` says nothing of what is in it"
        if part in STANDARD:
            return f"{name}: Python started beside `{part}` would import it for the standard module"
    return None


def test_no_file_tells_of_the_machine(repo: Path, git_files: tuple[str, ...]) -> None:
    paths = machine_paths(repo)
    assert [name for name in git_files if tells_of_the_machine((repo / name).read_bytes(), paths)] == []


def test_python_files_are_well_named(git_files: tuple[str, ...]) -> None:
    assert [problem for name in git_files if name.endswith(".py") and (problem := misnamed(name))] == []


@pytest.mark.parametrize(
    "name", ["grammar/ast.py", "compiler/types/infer.py", "cli/utils.py", "runtime/io_helpers.py", "cli/run_manager.py"]
)
def test_a_bad_name_is_seen(name: str) -> None:
    assert misnamed(name)


@pytest.mark.parametrize("name", ["__init__.py", "grammar/tree.py", "compiler/ir/__init__.py", "__main__.py"])
def test_a_good_name_passes(name: str) -> None:
    assert misnamed(name) is None


def test_a_path_of_the_machine_is_seen(repo: Path) -> None:
    for text in (f"see {Path.home()}/notes", "C:" + r"\Users\me", "/".join(("", "home", "me", "x"))):
        assert tells_of_the_machine(text.encode(), machine_paths(repo)), text
    assert not tells_of_the_machine(b"runs/gpt-1 and https://example.org/a/b", machine_paths(repo))
