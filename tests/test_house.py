"""The wheel holds what git holds of the package, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import dlspec

LITTER = (
    ".venv/lib/stray.py",
    "benchmarks/stray.py",
    "cli/__pycache__/stray.pyc",
    "dist/stray.whl",
    "docs/stray.md",
    "grammar/.stray.swp",
    "grammar/stray.txt",
    "runs/gpt-1/stray.py",
    "stray.txt",
    "tests/test_stray.py",
)


def pip(tree: Path, *arguments: str | Path) -> None:
    # Without isolation and index: the tests build with what is installed and never wait for a network.
    command = [sys.executable, "-m", "pip", arguments[0], "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*command, *arguments[1:]], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def build_wheel(tree: Path, into: Path) -> zipfile.ZipFile:
    pip(tree, "wheel", "--wheel-dir", into, ".")
    (wheel,) = into.glob("*.whl")
    return zipfile.ZipFile(wheel)


def contents(wheel: zipfile.ZipFile) -> list[str]:
    return sorted(name.removeprefix("dlspec/") for name in wheel.namelist() if ".dist-info/" not in name)


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


@pytest.fixture(scope="module")
def tree(repo: Path, git_files: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that building leaves nothing in it, under a name that is not the package's."""
    copy = tmp_path_factory.mktemp("a tree")
    for name in git_files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repo / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    with build_wheel(tree, tmp_path_factory.mktemp("wheel")) as built:
        yield built


def test_every_python_folder_is_listed(repo: Path, package_files: tuple[str, ...]) -> None:
    listed = tomllib.loads((repo / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {Path(name).parent for name in package_files if name.endswith(".py")}
    wanted = sorted(".".join(("dlspec", *folder.parts)) for folder in folders)
    lines = "".join(f'    "{name}",\n' for name in wanted)
    assert listed == wanted, f"pyproject.toml, under [tool.setuptools], needs\npackages = [\n{lines}]"


def test_the_wheel_holds_what_git_holds(package_files: tuple[str, ...], wheel: zipfile.ZipFile) -> None:
    assert contents(wheel) == list(package_files), "pyproject.toml: packages or package-data; git is right"


def test_litter_stays_out_of_the_wheel(tree: Path, wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    littered = tmp_path / "littered"
    shutil.copytree(tree, littered, ignore=lambda at, names: {"build", "dlspec.egg-info"} if at == str(tree) else set())
    pip(littered, "install", "--target", tmp_path / "site", "--editable", ".")
    assert not (littered / "build").exists(), "an editable install must not leave what the next wheel would take up"
    for name in LITTER:
        (littered / name).parent.mkdir(parents=True, exist_ok=True)
        (littered / name).write_text("raise SystemExit('litter')\n")
    with build_wheel(littered, tmp_path / "wheel") as built:
        assert contents(built) == contents(wheel)


def test_what_the_wheel_says_of_itself(wheel: zipfile.ZipFile) -> None:
    about = Parser().parsestr(metadata(wheel, "METADATA"))
    assert about["Version"] == dlspec.__version__
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == ">=3.11"
    assert "dlspec = dlspec.cli.main:main" in metadata(wheel, "entry_points.txt").splitlines()
    assert "Apache License" in metadata(wheel, "licenses/LICENSE")
    assert "Emitted code carries no obligation" in metadata(wheel, "licenses/NOTICE")


def test_the_wheel_imports_without_the_checkout(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-c", "import dlspec; print(dlspec.__file__, dlspec.__version__)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [str(tmp_path / "site" / "dlspec" / "__init__.py"), dlspec.__version__], done.stderr


def test_the_tested_versions_are_admitted(repo: Path) -> None:
    """Every direct dependency is pinned in constraints.txt to a version that its range admits."""
    project = tomllib.loads((repo / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    lines = (repo / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    for requirement in map(Requirement, wanted):
        if requirement.name == "onnxruntime-gpu":  # takes the place of onnxruntime, which is pinned
            continue
        assert requirement.specifier.contains(pins[requirement.name]), requirement
