"""`dlspec train`, `resume` and `verify-resume`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from story_cases import STORY, lines_of, place, trained

from dlspec.cli.console import Console
from dlspec.cli.main import main
from dlspec.cli.training import tell_result
from dlspec.grammar import Source, parse
from dlspec.runtime import Result

__all__ = ["place", "trained"]  # fixtures


SPEED = re.compile(r'"(tokens|samples)_per_second": [^,}]+')


def test_a_run_says_where_it_comes_from(trained: Path) -> None:
    run = trained / "run"
    assert (run / "spec.dlspec").read_text() == STORY
    record = json.loads((run / "resolved.json").read_text())
    assert record["schema"] == 1 and record["source"] == {"name": "story.dlspec", "text": STORY, "imports": {}}
    assert record["recipe"] == "Story" and record["overrides"] == [] and record["settings"]["steps"] == 12
    assert {"story.py", "story_recipe.py", "metrics.jsonl", "manifest.json", "checkpoints"} <= set(os.listdir(run))
    assert str(trained) not in (run / "resolved.json").read_text()


def test_training_as_json_lines(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "story.dlspec", "--json", "--set", "train.steps=3"]) == 0
    lines = lines_of(capsys)
    assert lines[0]["event"] == "begin" and [x["step"] for x in lines if x["event"] == "checkpoint"] == [3]
    assert lines[-1]["event"] == "end" and lines[-1]["run"] == "runs/story-1" and lines[-1]["finished"] == "steps"
    assert lines[-1]["validation"]["loss"] > 0
    records = [json.loads(line) for line in (place / "runs/story-1/metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if r["split"] == "train"] == [1, 2, 3]
    assert {"step", "split", "loss", "lr", "tokens_per_second"} <= records[0].keys()


def test_a_dry_run_does_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(os.listdir(place))
    assert main(["train", "story.dlspec", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^steps +12$", out, re.M) and re.search(r"^examples +\d+$", out, re.M)
    assert main(["train", "story.dlspec", "--dry-run", "--json"]) == 0
    (line,) = lines_of(capsys)
    assert line["steps"] == 12 and line["fields"]["tokens"] == {"dtype": "int", "dims": [12]}
    assert main(["train", "story.dlspec", "--dry-run", "--set", "vocab=8"]) == 1
    assert "the tokenizer has 9 tokens" in capsys.readouterr().err
    assert sorted(os.listdir(place)) == before


def test_a_run_that_exists_is_never_written_over(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (place / "run" / "manifest.json").read_bytes()
    assert main(["train", "story.dlspec", "--run", "run"]) == 1
    assert "run exists already" in capsys.readouterr().err
    assert (place / "run" / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "way"),
    [
        ("parallel = fsdp", "--set train.parallel=none"),
        ("compile = true", "--set train.compile=false"),
    ],
)
def test_what_is_not_there_yet_is_refused_with_a_way_on(
    place: Path, line: str, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "story.dlspec").write_text(STORY.replace("  steps  ", f"  {line}\n  steps  "))
    assert main(["check", "story.dlspec"]) == 0
    capsys.readouterr()
    for verb in ("train", "verify-resume"):
        assert main([verb, "story.dlspec"]) == 1
        err = capsys.readouterr().err
        assert "[not-in-this-version]" in err and "error: story.dlspec cannot be trained" in err
        assert f"Go on without it: {way}" in err
    assert not (place / "runs").exists()
    assert main(["train", "story.dlspec", "--dry-run", *way.split()]) == 0


def test_what_concerns_exports_alone_does_not_keep_from_training(place: Path) -> None:
    (place / "story.dlspec").write_text(STORY.replace('"story.onnx"', '"story.onnx", quantize = int8'))
    assert main(["train", "story.dlspec", "--dry-run"]) == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["train", "story.dlspec", "--set", "vocab=8"], 1, "the tokenizer has 9 tokens"),
        (["train", "story.dlspec", "--set", 'train.data.files="none.txt"'], 1, "there is no file none.txt"),
        (["train", "story.dlspec", "--recipe", "other"], 2, "there are: Story"),
        (["train", "story.dlspec", "--device", "tpu"], 1, "there is no device tpu"),
        (["train", "story.dlspec", "--kernels", "cuda"], 2, "invalid choice"),
        (["train", "story.dlspec", "--run", "story.txt/below"], 1, "could not be written"),
        (["train", "stori.dlspec"], 2, "there is story.dlspec"),
        (["train", "story.dlspec", "--set", "train.optimizer.lr=1e30", "--set", "train.clip=none"], 3, "diverged"),
        (["resume", "story.txt"], 1, "is not a run"),
        (["resume", "nowhere"], 1, "is not a run"),
        (["resume", "run", "--checkpoint", "5"], 1, "5"),
        (["evaluate", "run", "--split", "test"], 1, "There are: train, validation"),
        (["evaluate", "run", "--set", "vocab=3"], 2, "as it was trained"),
        (["generate", "run"], 2, "--prompt"),
        (["generate", "run", "--prompt", "a", "--temperature", "-1"], 2, "temperature is -1"),
        (["generate", "run", "--prompt", "Z"], 1, "Z"),
        (["generate", "none.onnx", "--prompt", "a"], 1, "there is no file none.onnx"),
        (["generate", "story.txt", "--prompt", "a"], 1, "neither a run directory nor"),
        (["predict", "run", "--input", "none.npy"], 1, "there is no file none.npy"),
        (["predict", "run", "--input", "run"], 1, "run is a folder, not a file"),
        (["predict", "run", "--input", "story.txt"], 1, "does not make text of text"),
        (["export", "run", "-o", "out", "--to", "onx"], 2, "`--to onnx,torchscript`"),
        (["export", "run", "-o", "out", "--to", "pt2"], 2, "that this version does not write"),
        (["export", "run", "-o", "story.txt"], 1, "is no directory"),
        (["export", "run", "-o", "out", "--opset", "12"], 2, "invalid choice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_of_users_are_told(
    place: Path, words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(os.listdir(place))
    assert main(words) == code
    err = capsys.readouterr().err
    assert says in err and "error: " in err and "Traceback" not in err
    left = set(os.listdir(place)) - set(before)
    assert left <= ({"runs"} if code == 3 else set())


def test_what_a_check_says_is_not_said_again_of_the_data(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "p.txt").write_text("a line of text\n" * 40, encoding="utf-8")
    spec = """dlspec 1
model T: (source: int[B, S], target: int[B, T]) -> (logits: [B, T, 257]) {
  told = source -> Embedding(256, 16)
  target -> Embedding(256, 16)
  residual { CrossAttention(2, memory = told) }
  Linear(257)
}
train T {
  data = pairs("p.txt", "p.txt", window = 16, tokenizer = bytes)
  loss = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  steps = 10
  batch = 8
}
"""
    (place / "p.dlspec").write_text(spec, encoding="utf-8")
    assert main(["check", "p.dlspec", "--data", "--json"]) == 0
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [found["code"] for found in line["diagnostics"]] == ["head-width"]
    assert line["diagnostics"][0]["help"].startswith("1 entry of it")


def test_the_data_can_be_checked_without_training(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "story.dlspec", "--data"]) == 0
    assert main(["check", "story.dlspec", "--data", "--set", "vocab=8", "--json"]) == 1
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()[1:]]
    (found,) = line["diagnostics"]
    assert found["code"] == "unfit-data" and found["line"] == 13 and "9 tokens" in found["message"]
    (place / "story.txt").unlink()
    assert main(["check", "story.dlspec", "--data"]) == 1
    assert "[bad-data]" in capsys.readouterr().out
    assert main(["check", "story.dlspec"]) == 0


# --- resume


def test_a_finished_run_goes_on_for_longer(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", "run"]) == 0
    assert "finished at step 12" in capsys.readouterr().out
    assert main(["resume", "run", "--set", "train.steps=16", "--set", "train.checkpoint.keep=2"]) == 0
    captured = capsys.readouterr()
    assert "changed: steps: 12 -> 16" in captured.err and "changed: checkpoint.keep: 9 -> 2" in captured.err
    assert captured.err.count("changed: ") == 2
    assert json.loads((place / "run" / "resolved.json").read_text())["overrides"] == [
        "train.steps=16",
        "train.checkpoint.keep=2",
    ]
    # What the run was changed to is kept: it is finished at 16 now, and evaluated as such.
    assert main(["resume", "run"]) == 0
    assert "finished at step 16" in capsys.readouterr().out
    assert main(["evaluate", "run"]) == 0


def test_what_stands_in_the_code_alone_is_told_as_the_spec_has_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["resume", "run", "--set", "train.steps=16", "--set", "train.optimizer.lr=2e-4"]
    assert main([*words, "--set", "train.schedule=warmup(5%)"]) == 0
    said = capsys.readouterr().err
    assert "changed: steps: 12 -> 16" in said and "changed: optimizer.lr: 1e-2 -> 2e-4" in said
    assert "changed: schedule: " in said and said.count("changed: ") == 3


def test_a_longer_run_equals_one_that_was_that_long_from_the_start(place: Path) -> None:
    assert main(["train", "story.dlspec", "--run", "long", "--set", "train.steps=16", "--quiet"]) == 0
    assert main(["resume", "run", "--set", "train.steps=16", "--quiet"]) == 0
    files = [place / name / "checkpoints" / "step-000016" / "model.safetensors" for name in ("run", "long")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_going_on_from_an_earlier_checkpoint(place: Path) -> None:
    metrics = place / "run" / "metrics.jsonl"
    before = SPEED.sub("", metrics.read_text())
    assert main(["resume", "run", "--checkpoint", "8", "--quiet"]) == 0
    assert SPEED.sub("", metrics.read_text()) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("width=32", "another model"),
        ("train.batch=8", "another batch (4 then, 8 now)"),
        ("train.seed=1", "another seed"),
        ("train.steps=3", "at step 12 already"),
        ("train.optimizer=SGD(lr = 0.1)", ""),
        ("widht=32", "write `width`"),
        ("train.parallel=fsdp", "it asks for what is not there yet"),
    ],
)
def test_what_a_run_cannot_keep_is_refused(
    place: Path, change: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()}
    words = ["resume", "run", "--set", change]
    words += [] if "steps" in change or "train" not in change else ["--set", "train.steps=20"]
    assert main(words) == 1
    err = capsys.readouterr().err
    assert "error: " in err and says in err
    assert {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()} == before


def test_verify_resume(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-resume", "story.dlspec", "--steps", "4", "--json"]) == 0
    (document,) = lines_of(capsys)
    assert document["equal"] is True and document["steps"] == 4 and document["restart"] == 2


@pytest.mark.parametrize(("best", "told"), [(None, False), (12, False), (8, True)])
def test_the_end_names_the_best_checkpoint(
    best: int | None, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_result(
        Result(tmp_path, 12, 40, "early_stop", {"loss": 0.5}, best), Console.of_process(json=False, quiet=False)
    )
    line = "the best validation was at step 8: `--checkpoint 8` takes its weights\n"
    assert capsys.readouterr().out == f"{tmp_path}: step 12 of 40, stopped early; loss 0.5000\n{line if told else ''}"


# --- the process: signals, and what a command leaves as it was


@pytest.mark.parametrize("sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_saves_everything_and_the_run_goes_on(place: Path, sent: signal.Signals) -> None:
    words = [sys.executable, "-m", "dlspec", "train", "story.dlspec", "--run", "long", "--set", "train.steps=200_000"]
    process = subprocess.Popen(
        [*words, "--set", "train.checkpoint=every(100_000)", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "record":
            break
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err.decode()
    assert b"Traceback" not in err and b"note: " in err
    assert [json.loads(line) for line in out.splitlines()][-1]["exit_code"] == 75
    assert len(list((place / "long" / "checkpoints").glob("step-*"))) == 1
    assert main(["runs", "."]) == 0
    assert main(["evaluate", "long"]) == 0


def test_a_signal_before_there_is_anything_to_save(place: Path) -> None:
    """While a tokenizer is learned, say: nothing was begun, nothing is left."""
    text = "".join(chr(97 + i * i % 23) + " " * (i % 3 == 0) for i in range(3_000_000))
    (place / "story.txt").write_text(text)
    changes = ["--set", "vocab=4000", "--set", "train.data.tokenizer=bpe(4000)"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dlspec", "train", "story.dlspec", "--run", "fresh", *changes],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), err.decode()  # the latter: before there was a main
    assert not (place / "fresh").exists() and not list(place.glob(".*tmp*"))


def test_a_signal_while_torch_is_loaded(place: Path) -> None:
    """Its C++ half aborts where an exception comes up in what it calls: none does."""
    (place / "torch").mkdir()
    text = """
        import os, signal
        try:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000): pass
        except KeyboardInterrupt:
            os.abort()
    """
    (place / "torch" / "__init__.py").write_text(dedent(text))
    words = [sys.executable, "-m", "dlspec", "train", "story.dlspec", "--run", "fresh"]
    path = os.pathsep.join([str(place), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    assert (done.returncode, done.stderr) == (130, "error: stopped; there was nothing to save\n")
    assert not (place / "fresh").exists()


def test_a_command_leaves_torch_as_it_was(place: Path) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    interrupt = signal.getsignal(signal.SIGINT)
    assert main(["train", "story.dlspec", "--run", "other", "--set", "train.steps=2", "--quiet"]) == 0
    assert main(["evaluate", "other"]) == 0
    after = torch.random.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]
    assert signal.getsignal(signal.SIGINT) is interrupt


def test_samples_are_written_as_the_spec_asks(place: Path) -> None:
    changes = ["--set", "train.steps=2", "--set", 'train.sample=every(2, prompt = "ab")']
    assert main(["train", "story.dlspec", "--run", "other", "--quiet", *changes]) == 0
    (sample,) = [json.loads(line) for line in (place / "other" / "samples.jsonl").read_text().splitlines()]
    assert sample["text"].startswith("ab") and len(sample["text"]) == 202


def test_the_spec_of_these_tests_is_laid_out() -> None:
    assert not parse(Source("story.dlspec", STORY))[1]
