"""`dlspec lsp` as it is started, and where pygls is missing."""

from __future__ import annotations

import json
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


def _message(**content: object) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", **content}).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def _session(*inside: bytes) -> subprocess.CompletedProcess[bytes]:
    """All of a session, sent at once by a client that knows nothing but the protocol."""
    hello = _message(id=1, method="initialize", params={"processId": None, "rootUri": None, "capabilities": {}})
    begin = [hello, _message(method="initialized", params={})]
    end = [_message(id=2, method="shutdown"), _message(method="exit")]
    sent = b"".join([*begin, *inside, *end])
    return subprocess.run([sys.executable, "-m", "dlspec", "lsp"], input=sent, capture_output=True, timeout=60)


def test_it_says_goodbye_without_a_word() -> None:
    done = _session()
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert b'"id": 2' in done.stdout


def test_a_refused_rename_is_answered_and_writes_no_traceback() -> None:
    document = {"uri": "file:///n.dlspec", "languageId": "dlspec", "version": 1, "text": "dlspec 1\nwidth = 8\n"}
    asked = {"textDocument": {"uri": document["uri"]}, "position": {"line": 1, "character": 1}, "newName": "if"}
    done = _session(
        _message(method="textDocument/didOpen", params={"textDocument": document}),
        _message(id=3, method="textDocument/rename", params=asked),
        _message(id=4, method="textDocument/prepareRename", params=asked | {"position": {"line": 0, "character": 1}}),
    )
    assert b"is a word of the language" in done.stdout
    assert (done.returncode, done.stderr.decode()) == (0, "")
