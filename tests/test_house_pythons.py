"""The half that needs no torch, on every Python of the machine that dlspec admits, in environments without torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
LIGHT = ("lark", "rich", "pygls", "libcst", "pytest", "pytest-lsp", "hypothesis")
PROBE = "import ensurepip, json, sys, venv; print(json.dumps(['%d.%d' % sys.version_info[:2], sys.version]))"


def candidates() -> list[Path]:
    """Programs that may be a Python: those on PATH, then those that pyenv keeps. Shims among them may refuse to run."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    on_path = [folder / f"python{version}" for version in VERSIONS for folder in folders]
    return [Path(sys.executable), *on_path, *sorted(pyenv.glob("versions/*/bin/python3"))]


@cache
def pythons() -> dict[str, tuple[Path, str]]:
    """The first Python of each version that runs and can make environments, with all that it says of its version."""
    found: dict[str, tuple[Path, str]] = {}
    for program in candidates():
        if not program.is_file():
            continue
        try:
            probe = subprocess.run([program, "-c", PROBE], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if probe.returncode == 0:
            version, build = json.loads(probe.stdout)
            found.setdefault(version, (program, build))
    return found


def requirements(repo: Path) -> list[str]:
    """The lines of pyproject.toml for the distributions that are needed, so that ranges are written once."""
    project = tomllib.loads((repo / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    return [line for line in lines if re.split(r"[^\w-]", line)[0] in LIGHT]


def environment(repo: Path, version: str, keep: Path) -> Path:
    """The Python of an environment without torch; made once, and again when what it is made from changes."""
    program, build = pythons()[version]
    constraints = repo / "constraints.txt"
    recipe = "\n".join([*requirements(repo), constraints.read_text(), str(program.resolve()), build, str(repo)])
    folder = keep / version
    python = folder / "bin" / "python"
    made_from = folder / "made-from"
    if not made_from.exists() or made_from.read_text() != recipe:
        shutil.rmtree(folder, ignore_errors=True)
        install = [python, "-m", "pip", "install", "--quiet", "--constraint", constraints, *requirements(repo)]
        for command in ([program, "-m", "venv", folder], install):
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        (folder / "src").mkdir()
        (folder / "src" / "dlspec").symlink_to(repo, target_is_directory=True)
        made_from.write_text(recipe)
    return python


def light_tests(repo: Path, git_files: tuple[str, ...]) -> list[str]:
    """Files with a test that needs no torch. The others may import it and are not even looked at."""
    tests = (name for name in git_files if re.fullmatch(r"tests/test_\w+\.py", name))
    return [name for name in tests if "mark.no_torch" in (repo / name).read_text(encoding="utf-8")]


@pytest.fixture(scope="module")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where environments stay from run to run: in the one that the tests run in, if that is one."""
    return Path(sys.prefix) / "pythons" if sys.prefix != sys.base_prefix else tmp_path_factory.mktemp("pythons")


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_the_half_without_torch(
    version: str, repo: Path, git_files: tuple[str, ...], keep: Path, tmp_path: Path
) -> None:
    if version not in pythons():
        pytest.skip(f"no Python {version} on this machine that can make an environment")
    python = environment(repo, version, keep)
    setting = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # What is compiled stays beside the environment: the tests start hundreds of processes, and each would do it again.
    compiled = python.parent.parent / "compiled"
    setting |= {"PYTHONPATH": str(python.parent.parent / "src"), "PYTHONPYCACHEPREFIX": str(compiled)}
    torch = subprocess.run([python, "-c", "import torch"], env=setting, cwd=tmp_path, capture_output=True, text=True)
    assert "No module named 'torch'" in torch.stderr
    files = [repo / name for name in light_tests(repo, git_files)]
    command = [python, "-m", "pytest", "-q", "-m", "no_torch and not slow", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, env=setting, cwd=tmp_path, capture_output=True, text=True)
    print(done.stdout[-20_000:])
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_this_python_is_found() -> None:
    assert pythons()["{}.{}".format(*sys.version_info[:2])][0] == Path(sys.executable)
