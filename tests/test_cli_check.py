"""The verbs that need no framework: what they print, what they write, and how they end."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dlspec.cli.main import VERBS, main

pytestmark = pytest.mark.no_torch

GOOD = """dlspec 1
model Net: (x: [B, 8]) -> (y: [B, 4]) {
  Linear(4)
}
"""
BAD = GOOD.replace("Linear", "Liner").replace("[B, 4]", "[B, 5]")
LATER = GOOD.replace("Linear(4)", "GaussianNoise(0.1) -> Linear(4)")
LEARNS = """dlspec 1
classes = 10
model MLP: (image: [B, 1, 8, 8]) -> (logits: [B, classes]) {
  flatten -> Linear(classes)
}
train MLP {
  data      = digits
  loss      = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 1e-3)
  epochs    = 2
  batch     = 64
}
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes, name: str = "net.dlspec") -> str:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write


def json_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Standard output is one JSON document and nothing else."""
    (line,) = capsys.readouterr().out.splitlines()
    document = json.loads(line)
    assert document["schema"] == 1
    return document


def command(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    return subprocess.run([sys.executable, "-m", "dlspec", *words], capture_output=True, text=True, **options)


# --- check


def test_a_spec_without_a_fault(write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", write(GOOD)]) == 0
    assert capsys.readouterr().out == "net.dlspec: no errors\n"


def test_all_errors_of_all_files_at_once(write, capsys: pytest.CaptureFixture[str]) -> None:
    files = [write(BAD, "a.dlspec"), write(GOOD, "b.dlspec"), write("dlspec 1\nwidth: 3\n", "c.dlspec")]
    assert main(["check", *files]) == 1
    out = capsys.readouterr().out
    assert "error: there is no layer or block `Liner` [unknown-layer]\n  --> a.dlspec:3:3\n" in out
    assert "b.dlspec: no errors" in out and "c.dlspec:2:" in out and "[wrong-sign]" in out


def test_the_json_of_check(write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", write(BAD), "--json"]) == 1
    first = json_of(capsys)["diagnostics"][0]
    assert first["severity"] == "error" and first["code"] == "unknown-layer" and first["file"] == "net.dlspec"
    assert (first["line"], first["column"], first["end_line"], first["end_column"]) == (3, 3, 3, 8)
    assert first["fixes"] == [{"start": {"line": 3, "column": 3}, "end": {"line": 3, "column": 8}, "text": "Linear"}]
    assert {"message", "labels", "help"} <= first.keys()


def test_notes_are_no_fault_unless_one_is_strict(write, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(LATER)
    assert main(["check", file]) == 0
    assert capsys.readouterr().out.startswith("note: `GaussianNoise` is part of the language")
    assert main(["check", file, "--strict"]) == 1
    assert main(["check", write(GOOD, "b.dlspec"), "--strict"]) == 0


def test_an_override_is_checked_like_the_file(write, capsys: pytest.CaptureFixture[str]) -> None:
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
        (bytes(range(256)) * 40, 1, "[not-text]"),
        ("dlspec 1\n# caf\xe9\n".encode("latin-1"), 1, "0xe9"),
        (b"\0" * 5_000_000, 2, "it has more than"),
        (b"dlspec 1\n" + b"(" * 1_000, 1, "and 901 more"),
        (b"dlspec 1\nx = " + b"-" * 50_000 + b"1\n", 1, "error"),
        (b"dlspec 1\r\nmodel Net: (x: [B, 8]) -> (y: [B, 4]) {\r\n  Liner(4)\r\n}\r\n", 1, "Linear"),
    ],
    ids=["empty", "elf", "all bytes", "latin-1", "huge", "deep", "signs", "crlf"],
)
def test_what_is_no_spec_is_told_and_never_a_traceback(
    write, content: bytes, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", write(content)]) == code
    captured = capsys.readouterr()
    assert says in captured.out and "Traceback" not in captured.out + captured.err
    assert not list(Path().glob("dlspec-bug-*"))


def test_files_that_cannot_be_read(write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    write(GOOD, "folder/inside.dlspec")
    write(GOOD, "net.dlspec")
    assert main(["check", "nett.dlspec", "folder", "net", "net.dlspec", "net.dlspec/x"]) == 2
    out = capsys.readouterr().out
    assert "there is no file nett.dlspec\n  = help: there is net.dlspec" in out
    assert "folder is a directory\n  = help: give a file, such as folder/inside.dlspec" in out
    assert "there is no file net\n  = help: there is net.dlspec" in out
    assert "net.dlspec: no errors" in out and "net.dlspec/x cannot be read: not a directory" in out
    assert main(["check", "nett.dlspec", "--json"]) == 2
    assert [d["code"] for d in json_of(capsys)["diagnostics"]] == ["unreadable-file"]


def test_a_control_character_of_a_file_never_reaches_the_terminal(write, capsys: pytest.CaptureFixture[str]) -> None:
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


# --- fmt


def test_fmt_lays_out_and_keeps_comments(write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_fmt_leaves_a_file_with_a_fault_alone(write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = write("dlspec 1\nx  =  (3\n", "bad.dlspec"), write("dlspec 1\nx   = 3\n", "good.dlspec")
    assert main(["fmt", bad, good]) == 1
    assert "error" in capsys.readouterr().err
    assert (tmp_path / bad).read_text() == "dlspec 1\nx  =  (3\n"
    assert (tmp_path / good).read_text() == "dlspec 1\nx = 3\n"


def test_fmt_follows_a_link(write, tmp_path: Path) -> None:
    write("dlspec 1\nx   = 3\n", "real.dlspec")
    (tmp_path / "link.dlspec").symlink_to("real.dlspec")
    assert main(["fmt", "link.dlspec"]) == 0
    assert (tmp_path / "link.dlspec").is_symlink()
    assert (tmp_path / "real.dlspec").read_text() == "dlspec 1\nx = 3\n"


# --- show, plan, emit


def test_show_is_a_table(write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", write(LEARNS)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^linear +Linear +\[B, 10\] +650 +1\.28 k$", out, re.M) and "650 parameters" in out


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ("ast", "Model  @3:1"),
        ("resolved", "classes = 10"),
        ("ir", "%2 = linear: Linear(classes)(%1)"),
        ("passes", "%2 = linear: Linear(classes)(%1)"),
        ("module", "class MLP(nn.Module):"),
    ],
)
def test_every_stage_can_be_seen(write, stage: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(LEARNS)
    assert main(["show", file, "--stage", stage]) == 0
    assert says in capsys.readouterr().out
    assert main(["show", file, "--stage", stage, "--json"]) == 0
    document = json_of(capsys)
    assert document["stage"] == stage and says in document["text"]


def test_a_pass_is_seen_between_ir_and_passes(write, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(GOOD.replace("Linear(4)", "Dropout(0) -> Linear(4)"))
    assert main(["show", file, "--stage", "ir"]) == 0
    assert "Dropout(0)" in capsys.readouterr().out
    assert main(["show", file, "--stage", "passes"]) == 0
    assert "Dropout" not in capsys.readouterr().out


def test_the_json_of_plan(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(repo / "specs" / "gpt.dlspec"), "--json", "--memory", "80GB"]) == 0
    document = json_of(capsys)
    assert document["parameters"] == document["trainable_parameters"] == 124_439_808
    assert document["memory"].keys() == {"weights", "gradients", "optimizer", "activations", "peak"}
    assert document["memory"]["peak"] == sum(v for k, v in document["memory"].items() if k != "peak")
    assert sum(layer["parameters"] for layer in document["layers"]) == 124_439_808
    assert {"name", "type", "shape", "parameters"} <= document["layers"][0].keys()
    assert document["batch"] == 480 and 0 < document["largest_batch"] < 480


def test_plan_says_what_to_do_where_the_batch_does_not_fit(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = str(repo / "specs" / "gpt.dlspec")
    assert main(["plan", spec, "--memory", "24GB"]) == 0
    found = re.search(r"up to (\d+) examples at once .* `accumulate = (\d+)`", capsys.readouterr().out)
    assert found is not None
    fits, parts = map(int, found.groups())
    assert 480 % parts == 0 and 480 // parts <= fits
    assert main(["plan", spec, "--memory", "24GB", "--set", f"train.accumulate={parts}", "--json"]) == 0
    assert json_of(capsys)["memory"]["peak"] <= 24e9
    assert main(["plan", spec, "--memory", "1GB"]) == 0
    assert "not a single example fits into 1.00 GB" in capsys.readouterr().out


def test_plan_counts_with_what_is_set(write, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(LEARNS)
    assert main(["plan", file, "--json", "--batch", "8"]) == 0
    assert json_of(capsys)["batch"] == 8
    assert main(["plan", write(GOOD), "--json"]) == 0
    assert json_of(capsys)["parameters"] == 36


def test_emit_writes_the_model_and_its_recipe(write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", write(LEARNS), "-o", "out/code"]) == 0
    assert sorted(os.listdir(tmp_path / "out/code")) == ["net.py", "net_recipe.py"]
    assert capsys.readouterr().out.split() == ["out/code/net.py", "out/code/net_recipe.py"]
    for name in ("net.py", "net_recipe.py"):
        compile((tmp_path / "out/code" / name).read_text(), name, "exec")
    assert main(["emit", write(GOOD), "-o", "alone", "--json"]) == 0
    assert json_of(capsys)["files"] == ["alone/net.py"]


def test_what_cannot_be_emitted_yet_is_told_and_nothing_written(
    write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(LATER)
    for words in (["emit", file, "-o", "out"], ["plan", file], ["show", file]):
        assert main(words) == 0
        captured = capsys.readouterr()
        assert captured.out == "" and "not-in-this-version" in captured.err
        assert main([*words, "--strict"]) == 1
        capsys.readouterr()
        assert main([*words, "--json"]) == 0
        assert "left_out" in json_of(capsys)
    assert not (tmp_path / "out").exists()


def test_emit_does_not_write_over_a_folder_or_through_a_file(
    write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(GOOD)
    (tmp_path / "out" / "net.py").mkdir(parents=True)
    assert main(["emit", file, "-o", "out"]) == 1
    assert "in the way" in capsys.readouterr().err
    assert main(["emit", file, "-o", file]) == 1
    assert "is no directory" in capsys.readouterr().err
    assert main(["emit", file, "-o", f"{file}/below"]) == 1
    assert "error: " in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(GOOD)
    (tmp_path / "locked").mkdir(mode=0o555)
    assert main(["emit", file, "-o", "locked"]) == 1
    assert "permission denied" in capsys.readouterr().err


# --- new, runs


@pytest.mark.parametrize("template", ["digits", "gpt", "chargpt"])
def test_a_new_spec_is_one_without_a_fault(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mine", "--from", template]) == 0
    assert main(["check", "mine.dlspec"]) == 0
    assert main(["fmt", "--check", "mine.dlspec"]) == 0
    text = (tmp_path / "mine.dlspec").read_text()
    assert 'onnx("mine.onnx"' in text and "#   dlspec train mine.dlspec" in text
    capsys.readouterr()
    assert main(["new", "mine", "--from", template]) == 1
    assert "mine.dlspec exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["new", "my-net"], "`dlspec new my_net`"),
        (["new", "class"], "cannot be the name of a spec"),
        (["new", "a", "--from", "digts"], "`--from digits`"),
        (["new", "a", "--set", "x=3"], "--set x=3 has nothing to change"),
    ],
)
def test_a_new_spec_that_cannot_be(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert says in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_runs_where_there_are_none_or_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == "no runs in runs\n"
    (tmp_path / "runs" / "a-1").mkdir(parents=True)
    (tmp_path / "runs" / "a-1" / "manifest.json").write_text("{")
    assert main(["runs", "--json"]) == 0
    assert [run["state"] for run in json_of(capsys)["runs"]] == ["damaged"]


# --- wrong use, and the form of everything


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["chekc"], "dlspec has no verb `chekc`\n  = help: `dlspec check`"),
        (["--verbos"], "dlspec has no option `--verbos`"),
        (["check"], "the following arguments are required: FILE"),
        (["check", "a.dlspec", "--jsno"], "unrecognized arguments: --jsno"),
        (["plan", "a.dlspec", "--memory", "much"], "write 24GB, 80GiB or 512MB"),
        (["plan", "a.dlspec", "--batch", "0"], "at least 1"),
        (["show", "a.dlspec", "--stage", "kernels"], "invalid choice"),
        (["fmt", "a.dlspec", "--set", "a=1"], "has nothing to change"),
        (["emit", "a.dlspec"], "-o/--output"),
        (["explain", "shape-mismach"], "`dlspec explain shape-mismatch`"),
    ],
)
def test_wrong_use(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert says in captured.err and captured.err.startswith("error: ") and captured.out == ""


def test_a_recipe_that_is_not_there(write, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_json_errors_are_a_document_too(write, capsys: pytest.CaptureFixture[str]) -> None:
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
def test_json_is_all_that_is_on_standard_output(write, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    names = {"good": write(LEARNS, "good.dlspec"), "bad": write(BAD, "bad.dlspec"), "later": write(LATER, "l.dlspec")}
    main([*(word.format(**names) for word in words), "--json"])
    json_of(capsys)


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"dlspec \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_the_same_command_as_a_module(write, tmp_path: Path) -> None:
    done = command("check", write(BAD), cwd=tmp_path)
    assert done.returncode == 1 and "[unknown-layer]" in done.stdout and done.stderr == ""


def test_a_reader_that_goes_away_changes_nothing(write, tmp_path: Path) -> None:
    write("dlspec 1\n" + "\n".join(f"a{n} = b{n}" for n in range(300)) + "\n")
    shell = f"{sys.executable} -m dlspec check net.dlspec | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "1" and done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_standard_output(write, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dlspec", "show", write(GOOD)], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 4 and b"No space left" in done.stderr and b"Traceback" not in done.stderr


def test_a_terminal_without_unicode(write, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = command("check", write("dlspec 1\nζ = 3 # ×\n"), cwd=tmp_path, env=environment)
    assert done.returncode == 1 and "\\u03b6" in done.stdout and "Traceback" not in done.stderr


def test_colour_is_for_terminals_that_want_it(write, monkeypatch: pytest.MonkeyPatch) -> None:
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
    def fail(*_: object) -> None:
        secret = "/".join(("", "secret", "place"))
        raise ZeroDivisionError(f"in {Path.cwd()} of {Path.home()}/x, {secret}")

    monkeypatch.setattr("dlspec.compiler.pipeline.analyse", fail)


def test_a_bug_is_one_line_and_a_report(
    bug: None, write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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
    bug: None, write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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


def test_stopped_by_the_keyboard(write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dlspec.compiler.pipeline.analyse", stop)
    assert main(["check", write(GOOD)]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_garbage_collection_is_put_back(write) -> None:
    import gc

    assert gc.isenabled()
    main(["check", write(GOOD)])
    assert gc.isenabled()


def test_a_cold_check_is_cheap(repo: Path) -> None:
    """By processor time, which other processes disturb little."""
    done = subprocess.run(
        [sys.executable, str(repo / "benchmarks" / "check_cold.py"), "5"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ratio = re.search(r"^ratio +[\d.]+ +([\d.]+)", done.stdout, re.M)
    assert ratio is not None and float(ratio[1]) < 1.8, done.stdout
