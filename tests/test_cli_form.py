"""What holds for every verb: wrong use, JSON, streams, bugs of ours."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_cases import BAD, GOOD, LATER, LEARNS, Write, command, json_of, write

from dlspec.cli.main import VERBS, main

pytestmark = pytest.mark.no_torch
__all__ = ["write"]  # a fixture


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["chekc"], "dlspec has no verb `chekc`\n  = help: `dlspec check`"),
        (["--verbos"], "dlspec has no option `--verbos`"),
        (["check"], "the following arguments are required: FILE"),
        (["check", "a.dlspec", "--jsno"], "unrecognized arguments: --jsno"),
        (["train", "a.dlspec", "--epochs", "3"], "changed by `--set train.epochs=3`"),
        (
            ["train", "a.dlspec", "--batch_size=3", "--lr", "3e-4"],
            "`--set train.batch=3 --set train.optimizer.lr=3e-4`",
        ),
        (["train", "--epochs", "3", "a.dlspec"], "changed by `--set train.epochs=...`"),
        (["train", "a.dlspec", "--resume"], "`dlspec resume RUN` goes on with a run"),
        (["train", "a.dlspec", "--verbose"], "`dlspec train --help` says what it takes"),
        (["plan", "a.dlspec", "--memory", "much"], "write 24GB, 80GiB or 512MB"),
        (["plan", "a.dlspec", "--memory", "24"], "24 has no unit: write 24GB"),
        (["plan", "a.dlspec", "--batch", "0"], "at least 1"),
        (["show", "a.dlspec", "--stage", "kernel"], "invalid choice"),
        (["fmt", "a.dlspec", "--set", "a=1"], "has nothing to change"),
        (["check", "a.dlspec", "--set", "a=1", "--set", "a = 2"], "--set a = 2 sets anew what --set a=1 has set"),
        (["check", "a.dlspec", "--set", "train.optimizer.lr=1", "--set", "train.optimizer=Lion"], "sets anew"),
        (["emit", "a.dlspec"], "-o/--output"),
        (["explain", "shape-mismach"], "`dlspec explain shape-mismatch`"),
    ],
)
def test_wrong_use(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert says in captured.err and captured.err.startswith("error: ") and captured.out == ""


def test_a_recipe_that_is_not_there(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", write(LEARNS), "--recipe", "finetune"]) == 2
    assert "there are: MLP" in capsys.readouterr().err


def test_help_lists_every_verb_and_each_verb_has_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    for verb in VERBS:
        assert f"\n  {verb} " in overview
        assert main([verb, "--help"]) == 0
        text = capsys.readouterr().out
        assert text.startswith(f"usage: dlspec {verb}") and "--json" in text and "--set" in text
    assert main([]) == 2
    assert "check" in capsys.readouterr().err


def test_every_verb_that_is_listed_is_a_file_of_its_own(repo: Path) -> None:
    for verb in VERBS:
        text = (repo / "cli" / f"{verb.replace('-', '_')}.py").read_text(encoding="utf-8")
        assert text.startswith(f'"""`dlspec {verb}`:')


def test_json_errors_are_a_document_too(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", write(BAD), "--json"]) == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["exit_code"] == 1 and document["diagnostics"][0]["code"] == "unknown-layer"
    assert "error: there is no layer or block `Liner`" in captured.err
    assert main(["plan", "--json"]) == 2
    assert json_of(capsys)["exit_code"] == 2


@pytest.mark.parametrize(
    "words",
    [
        ["check", "{good}", "{bad}"],
        ["fmt", "{good}"],
        ["show", "{good}"],
        ["plan", "{good}"],
        ["plan", "{later}"],
        ["emit", "{good}", "-o", "out"],
        ["new", "fresh"],
        ["runs"],
        ["explain"],
        ["explain", "conflict"],
        ["show", "{bad}"],
        ["check", "missing.dlspec"],
    ],
    ids=" ".join,
)
def test_json_is_all_that_is_on_standard_output(
    write: Write, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"good": write(LEARNS, "good.dlspec"), "bad": write(BAD, "bad.dlspec"), "later": write(LATER, "l.dlspec")}
    main([*(word.format(**names) for word in words), "--json"])
    json_of(capsys)


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"dlspec \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_the_same_command_as_a_module(write: Write, tmp_path: Path) -> None:
    done = command("check", write(BAD), cwd=tmp_path)
    assert done.returncode == 1 and "[unknown-layer]" in done.stdout and done.stderr == ""


def test_a_reader_that_goes_away_changes_nothing(write: Write, tmp_path: Path) -> None:
    write("dlspec 1\n" + "\n".join(f"a{n} = b{n}" for n in range(300)) + "\n")
    shell = f"{shlex.quote(sys.executable)} -m dlspec check net.dlspec | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "1" and done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_standard_output(write: Write, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dlspec", "show", write(GOOD)], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 4 and b"No space left" in done.stderr and b"Traceback" not in done.stderr


def test_a_terminal_without_unicode(write: Write, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = command("check", write("dlspec 1\nζ = 3 # ×\n"), cwd=tmp_path, env=environment)
    assert done.returncode == 1 and "\\u03b6" in done.stdout and "Traceback" not in done.stderr


def test_colour_is_for_terminals_that_want_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from io import StringIO

    from dlspec.cli.console import Console
    from dlspec.compiler.pipeline import analyse
    from dlspec.grammar import Source

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    found = analyse(Source("net.dlspec", BAD)).diagnostics
    coloured, plain, piped = Terminal(), Terminal(), StringIO()
    Console(coloured, coloured).diagnostics(found)
    monkeypatch.setenv("NO_COLOR", "1")
    Console(plain, plain).diagnostics(found)
    Console(piped, piped).diagnostics(found)
    assert "\033[1;31merror" in coloured.getvalue()
    assert plain.getvalue() == piped.getvalue() == re.sub(r"\033\[[\d;]*m", "", coloured.getvalue())


# --- bugs of ours


@pytest.fixture
def bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        secret = "/".join(("", "secret", "place"))
        raise ZeroDivisionError(f"in {Path.cwd()} of {Path.home()}/x, {secret}")

    monkeypatch.setattr("dlspec.compiler.pipeline.analyse", fail)


def test_a_bug_is_one_line_and_a_report(
    bug: None, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DLSPEC_TRACE", raising=False)
    for _ in range(2):  # the same bug again leaves no second file
        assert main(["check", write(GOOD)]) == 70
        captured = capsys.readouterr()
        assert captured.err.startswith("error: this is a bug of dlspec (ZeroDivisionError); a report is in dlspec-bug-")
        assert "Traceback" not in captured.err
    (report,) = tmp_path.glob("dlspec-bug-*.txt")
    text = report.read_text()
    assert "ZeroDivisionError: in . of " in text and "dlspec/cli/check.py:" in text
    assert str(tmp_path) not in text and str(Path.home()) not in text and "Linear" not in text
    monkeypatch.setenv("DLSPEC_TRACE", "1")
    assert main(["check", write(GOOD)]) == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_bug_where_nothing_can_be_written(
    bug: None, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(GOOD)

    real = Path.open

    def refuse(self: Path, *words: Any, **options: Any) -> Any:
        if "dlspec-bug" in self.name:
            raise PermissionError(13, "Permission denied")
        return real(self, *words, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert main(["check", file]) == 70
    assert "no report could be written" in capsys.readouterr().err


def test_stopped_by_the_keyboard(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dlspec.compiler.pipeline.analyse", stop)
    assert main(["check", write(GOOD)]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_stopped_by_the_keyboard_while_a_class_is_made(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python 3.11 says then: RuntimeError: Error calling __set_name__."""

    def stop(*_: object, **__: object) -> None:
        raise RuntimeError("Error calling __set_name__ on 'Field'") from KeyboardInterrupt()

    monkeypatch.setattr("dlspec.compiler.pipeline.analyse", stop)
    assert main(["check", write(GOOD)]) == 130
    assert capsys.readouterr().err == "error: stopped; there was nothing to save\n"


def test_garbage_collection_is_put_back(write: Write) -> None:
    import gc

    assert gc.isenabled()
    main(["check", write(GOOD)])
    assert gc.isenabled()
