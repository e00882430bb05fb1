"""Tests that leave files in the checkout are found out: in CI the run turns red, elsewhere it says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TIDY = "def test_tidy(tmp_path):\n    (tmp_path / 'mine').touch()\n"
UNTIDY = (
    "from pathlib import Path\n\ndef test_untidy(repo):\n"
    "    (repo / 'runs').mkdir()\n    (repo / 'runs' / 'left.txt').touch()\n    (repo / 'stray.txt').touch()\n"
)


@pytest.fixture
def checkout(tmp_path: Path, repo: Path) -> Path:
    """A git checkout with our conftest.py and no test yet."""
    (tmp_path / "tests").mkdir()
    for name in (".gitignore", "tests/conftest.py", "tests/pytest.ini"):
        shutil.copy(repo / name, tmp_path / name)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def run(checkout: Path, test: str, *, ci: bool, workers: int = 0) -> subprocess.CompletedProcess[str]:
    (checkout / "tests" / "test_it.py").write_text(test)
    setting = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "tests", "-q", "-n", str(workers)]
    return subprocess.run(
        command, cwd=checkout, env=setting | ({"CI": "true"} if ci else {}), capture_output=True, text=True
    )


def test_a_tidy_test_passes(checkout: Path) -> None:
    done = run(checkout, TIDY, ci=True)
    assert done.returncode == 0, done.stdout
    assert "new files in the checkout" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_an_untidy_test_turns_ci_red(checkout: Path, workers: int) -> None:
    done = run(checkout, UNTIDY, ci=True, workers=workers)
    assert done.returncode == 1, done.stdout
    assert "runs/" in done.stdout and "stray.txt" in done.stdout
    assert "1 passed" in done.stdout.splitlines()[-1]


def test_elsewhere_it_is_only_told(checkout: Path) -> None:
    done = run(checkout, UNTIDY, ci=False)
    assert done.returncode == 0, done.stdout
    assert "stray.txt" in done.stdout
