"""The wheel holds what git holds of the package, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

# What ships: the root's own modules and these folders, whole. Whatever else stands in the tree stays there.
PACKAGE_FOLDERS = ("cli", "compiler", "grammar", "runtime", "specs")
LITTER = (
    "benchmarks/stray.py",
    "build/lib/dlspec/gone.py",
    "cli/__pycache__/main.cpython-311.pyc",
    "dist/old.whl",
    "docs/stray.py",
    "grammar/.hidden.py.swp",
    "grammar/notes.txt",
    "runs/gpt-1/gpt.py",
    "specs/stray.py",
    "tests/test_stray.py",
    ".venv/lib/stray.py",
)


def git_files(repo: Path) -> list[str]:
    """Tracked files and new ones that git would take, as paths from the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repo,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(name for name in listing.split("\0") if name and (repo / name).is_file())


def ships(name: str) -> bool:
    top, slash, _ = name.partition("/")
    return top in PACKAGE_FOLDERS if slash else top.endswith(".py") or top == "py.typed"


def build_wheel(tree: Path, into: Path) -> zipfile.ZipFile:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "--wheel-dir", into, "."], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = into.glob("*.whl")
    return zipfile.ZipFile(wheel)


@pytest.fixture(scope="module")
def tree(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that building leaves nothing in it."""
    copy = tmp_path_factory.mktemp("a tree")
    for name in git_files(repo):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repo / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return build_wheel(tree, tmp_path_factory.mktemp("wheel"))


def contents(wheel: zipfile.ZipFile) -> list[str]:
    return sorted(name.removeprefix("dlspec/") for name in wheel.namelist() if ".dist-info/" not in name)


def test_every_python_folder_is_listed(repo: Path) -> None:
    listed = tomllib.loads((repo / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {Path(name).parent for name in git_files(repo) if name.endswith(".py") and ships(name)}
    wanted = sorted(".".join(("dlspec", *folder.parts)) for folder in folders)
    assert listed == wanted, "pyproject.toml, [tool.setuptools] packages: has the left side, needs the right"


def test_the_wheel_holds_what_git_holds(repo: Path, wheel: zipfile.ZipFile) -> None:
    wanted = [name for name in git_files(repo) if ships(name)]
    assert contents(wheel) == wanted, "pyproject.toml: packages or package-data; the wheel is left, git is right"
