"""What every test may ask for, and the rule that tests leave nothing behind. Must not import torch."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
# What ships: the root's own modules and these folders, whole. Whatever else stands in the tree stays there.
PACKAGE_FOLDERS = ("api", "cli", "compiler", "editor", "grammar", "runtime", "specs")
# An editor's shop ships it, not the wheel.
ELSEWHERE = "editor/vscode/"
CACHES = (".venv/", ".hypothesis/", ".pytest_cache/", ".ruff_cache/", "__pycache__/", "dlspec.egg-info/")

# One test process runs on each core; torch reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Files whose tests take minutes begin first, or one of them would be alone at the end while other workers wait.
LONGEST = (
    *("test_house_pythons.py", "test_zoo.py", "test_benchmarks.py", "test_triton_shipped.py"),
    *("test_triton_attention.py", "test_triton_attention_precisions.py", "test_triton_attention_specialised.py"),
    "test_triton_models.py",
)

# The same examples on every run, so that what turns red is the change; no deadline, since cores are shared.
hypothesis.settings.register_profile("house", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the checkout, which is the package."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data and design that may lie beside the checkout."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared beside the checkout, which is not there")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, for this process and those it starts."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(scope="session")
def git_files() -> tuple[str, ...]:
    """Tracked files, and new ones that git would take, as paths from the root."""
    listing = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listing is None:
        pytest.skip("not a git checkout: what belongs to the project is what git lists")
    return tuple(sorted(name for name in listing.split("\0") if name and (ROOT / name).is_file()))


@pytest.fixture(scope="session")
def package_files(git_files: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the files that ship."""

    def ships(name: str) -> bool:
        if name.startswith(ELSEWHERE):
            return False
        top, slash, _ = name.partition("/")
        return top in PACKAGE_FOLDERS if slash else top.endswith(".py") or top == "py.typed"

    return tuple(name for name in git_files if ships(name))


def _git(*arguments: str) -> str | None:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def _untracked() -> set[str]:
    listing = _git("status", "--porcelain", "-z", "--untracked-files=all", "--ignored") or ""
    names = {entry[3:] for entry in listing.split("\0") if entry[:2] in ("??", "!!")}
    return {name for name in names if not any(f"/{cache}" in f"/{name}" for cache in CACHES)}


_before = pytest.StashKey[set[str]]()
_left = pytest.StashKey[list[str]]()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_sessionstart(session: pytest.Session) -> None:
    if not _is_worker(session.config):
        session.config.stash[_before] = _untracked()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _is_worker(session.config):
        return
    left = sorted(_untracked() - session.config.stash[_before])
    session.config.stash[_left] = left
    # Elsewhere than in CI somebody may have been writing files while the tests ran.
    if left and os.environ.get("CI") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left := config.stash.get(_left, []):
        terminalreporter.section("new files in the checkout (a test must not leave any)", yellow=True)
        terminalreporter.write_line("\n".join(left))
