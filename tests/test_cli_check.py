"""`dlspec check` and `fmt`."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cli_cases import BAD, GOOD, LATER, LEARNS, Write, json_of, write

from dlspec.cli.main import main

pytestmark = pytest.mark.no_torch
__all__ = ["write"]  # a fixture


def test_a_spec_without_a_fault(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", write(GOOD)]) == 0
    assert capsys.readouterr().out == "net.dlspec: no errors\n"


def test_all_errors_of_all_files_at_once(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    files = [write(BAD, "a.dlspec"), write(GOOD, "b.dlspec"), write("dlspec 1\nwidth: 3\n", "c.dlspec")]
    assert main(["check", *files]) == 1
    out = capsys.readouterr().out
    assert "error: there is no layer or block `Liner` [unknown-layer]\n  --> a.dlspec:3:3\n" in out
    assert "b.dlspec: no errors" in out and "c.dlspec:2:" in out and "[wrong-sign]" in out


def test_the_json_of_check(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", write(BAD), "--json"]) == 1
    first = json_of(capsys)["diagnostics"][0]
    assert first["severity"] == "error" and first["code"] == "unknown-layer" and first["file"] == "net.dlspec"
    assert (first["line"], first["column"], first["end_line"], first["end_column"]) == (3, 3, 3, 8)
    assert first["fixes"] == [{"start": {"line": 3, "column": 3}, "end": {"line": 3, "column": 8}, "text": "Linear"}]
    assert {"message", "labels", "help"} <= first.keys()


def test_notes_are_no_fault_unless_one_is_strict(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(LATER)
    assert main(["check", file]) == 0
    assert capsys.readouterr().out.startswith(
        "note: `normal` with `T`, which no value that comes into this part has for a dim,"
    )
    assert main(["check", file, "--strict"]) == 1
    assert main(["check", write(GOOD, "b.dlspec"), "--strict"]) == 0


def test_an_override_is_checked_like_the_file(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(LEARNS)
    assert main(["check", file, "--set", "train.batch=32", "--set", "classes = 10"]) == 0
    assert main(["check", file, "--set", "clases=9"]) == 1
    out = capsys.readouterr().out
    assert "write `classes`" in out and "--set clases=9:1:1" in out


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", 1, "[missing-header]"),
        (b"\x7fELF\x02\x01\0\0\0\xff\xfe", 1, "[not-text]"),
        (b"\x08\x07\x12\x07pytorch\x1a\x05\0\xff", 1, "this is a graph of ONNX, not a spec [not-text]"),
        (b"PK\x03\x04\0\0\x08\x08\xff", 1, "this is an archive, such as PyTorch's weights, not a spec [not-text]"),
        (bytes(range(256)) * 40, 1, "[not-text]"),
        ("dlspec 1\n# caf\xe9\n".encode("latin-1"), 1, "0xe9"),
        (b"\0" * 5_000_000, 2, "it has more than"),
        (b"dlspec 1\n" + b"(" * 1_000, 1, "[too-deep]"),
        (b"dlspec 1\n" + b"".join(b"a%d = b%d\n" % (n, n) for n in range(300)), 1, "and 200 more"),
        (b"dlspec 1\nx = " + b"-" * 50_000 + b"1\n", 1, "error"),
        (b'{"layers": [3, 4]}', 1, "this file is JSON, not a spec [other-format]"),
        (b"dlspec 1\r\nmodel Net: (x: [B, 8]) -> (y: [B, 4]) {\r\n  Liner(4)\r\n}\r\n", 1, "Linear"),
    ],
    ids=["empty", "elf", "onnx", "zip", "all bytes", "latin-1", "huge", "deep", "many", "signs", "JSON", "crlf"],
)
def test_what_is_no_spec_is_told_and_never_a_traceback(
    write: Write, content: bytes, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", write(content)]) == code
    captured = capsys.readouterr()
    assert says in captured.out and "Traceback" not in captured.out + captured.err
    assert not list(Path().glob("dlspec-bug-*"))


def test_files_that_cannot_be_read(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    write(GOOD, "folder/inside.dlspec")
    write(GOOD, "net.dlspec")
    assert main(["check", "nett.dlspec", "folder", "net", "net.dlspec", "net.dlspec/x"]) == 2
    out = capsys.readouterr().out
    assert "there is no file nett.dlspec\n  = help: there is net.dlspec" in out
    assert "folder is a directory\n  = help: give a file, such as folder/inside.dlspec" in out
    assert "there is no file net\n  = help: there is net.dlspec" in out
    assert "net.dlspec: no errors" in out and "net.dlspec/x cannot be read: not a directory" in out
    assert main(["check", "nowhere.dlspec"]) == 2
    assert capsys.readouterr().out.strip() == "error: there is no file nowhere.dlspec"
    assert main(["check", "nett.dlspec", "--json"]) == 2
    assert [d["code"] for d in json_of(capsys)["diagnostics"]] == ["unreadable-file"]


def test_a_control_character_of_a_file_never_reaches_the_terminal(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", write("dlspec 1\nx = \x1b[2J\x07 3\n")]) == 1
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", capsys.readouterr().out)


def test_check_loads_no_framework_and_no_display(repo: Path) -> None:
    program = (
        "import sys; from dlspec.cli.main import main; code = main(['check', sys.argv[1]]);"
        "print(code, *sorted({'torch', 'numpy', 'onnx', 'onnx_ir', 'rich', 'safetensors', 'pydantic', 'asyncio',"
        " 'importlib.metadata', 'json.tool'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(repo / "specs" / "gpt.dlspec")], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0"


# What a spec without a fault does not wait for: faults and advice, the printer, and what only emission and export need;
# of the training words those that the spec does not have.
NOT_FOR_A_CHECK = re.compile(
    r"grammar\.(printer|document|comments|fault|other_format|mistakes\w*)"
    r"|compiler\.(advice|backends\.(?!pytorch\.(not_emitted|places)$)(pytorch|onnx|svg)\.|diff|scalars)\b.*"
    r"|compiler\.semantics\.follow_ups|compiler\.layers\.\w+_(onnx|torch)"
    r"|compiler\.training\.(start|factors|metric_list|metrics\.\w+|schedules\.(?!warmup|cosine)\w+)"
)


def test_a_check_without_a_fault_loads_only_what_it_needs(repo: Path) -> None:
    program = (
        "import sys; from dlspec.cli.main import main; code = main(['check', sys.argv[1]]);"
        "print(code, *sorted(m.partition('.')[2] for m in sys.modules if m.startswith('dlspec.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(repo / "specs" / "gpt.dlspec")], capture_output=True, text=True, check=True
    )
    code, *loaded = done.stdout.splitlines()[-1].split()
    assert code == "0"
    assert "compiler.layers.self_attention" in loaded
    assert [module for module in loaded if NOT_FOR_A_CHECK.fullmatch(module)] == []
    assert len(loaded) < 175, (
        "a check got slower: see benchmarks/check_cold.py, and load what is new where it is needed"
    )


# --- fmt


def test_fmt_lays_out_and_keeps_comments(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write("dlspec 1\n# why\nmodel Net:(x:[B,8])->(y:[B,4]){\nLinear( 4 )  # last\n}\n")
    (tmp_path / file).chmod(0o640)
    assert main(["fmt", file, "--check"]) == 1
    assert "would change" in capsys.readouterr().out
    assert main(["fmt", file]) == 0
    text = (tmp_path / file).read_text()
    assert "# why" in text and "  Linear(4)  # last\n" in text
    assert stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o640
    assert main(["fmt", file, "--check"]) == 0
    assert os.listdir(tmp_path) == [file]


def test_fmt_leaves_a_file_with_a_fault_alone(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = write("dlspec 1\nx  =  (3\n", "bad.dlspec"), write("dlspec 1\nx   = 3\n", "good.dlspec")
    assert main(["fmt", bad, good]) == 1
    assert "error" in capsys.readouterr().err
    assert (tmp_path / bad).read_text() == "dlspec 1\nx  =  (3\n"
    assert (tmp_path / good).read_text() == "dlspec 1\nx = 3\n"


def test_fmt_follows_a_link(write: Write, tmp_path: Path) -> None:
    write("dlspec 1\nx   = 3\n", "real.dlspec")
    (tmp_path / "link.dlspec").symlink_to("real.dlspec")
    assert main(["fmt", "link.dlspec"]) == 0
    assert (tmp_path / "link.dlspec").is_symlink()
    assert (tmp_path / "real.dlspec").read_text() == "dlspec 1\nx = 3\n"


def test_a_cold_check_can_be_measured(repo: Path) -> None:
    """The benchmark runs and prints its ratio; no figure of a shared machine is held against a limit here."""
    pytest.importorskip("pydantic", reason="the benchmark measures a check against importing pydantic")
    script = [sys.executable, str(repo / "benchmarks" / "check_cold.py"), "1"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^ratio +[\d.]+ +[\d.]+", done.stdout, re.M), done.stdout
