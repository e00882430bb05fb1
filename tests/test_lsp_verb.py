"""`dlspec lsp` as it is started, and where pygls is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.no_torch

WITHOUT = "import sys; sys.modules['pygls'] = None; from dlspec.cli.main import main; sys.exit(main(['lsp']))"


def test_without_pygls_one_line_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "pip install 'dlspec[editor]'" in done.stderr


def test_nothing_else_of_dlspec_loads_pygls() -> None:
    program = (
        "import sys, dlspec.cli.check, dlspec.compiler.pipeline, dlspec.editor.hover; print('pygls' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["False"], done.stderr


def test_it_has_nothing_to_set() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dlspec", "lsp", "--set", "a=1"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert "nothing to change here" in done.stderr


def test_it_ends_when_the_editor_does() -> None:
    done = subprocess.run([sys.executable, "-m", "dlspec", "lsp"], input=b"", capture_output=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout == b""
