"""A run that was stopped and taken up again is the run that was never stopped, bit by bit."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from runtime_cases import ADAMW, SGD, digits, gpt, metrics, newest, open_windows, same_weights
from torch import nn

from dlspec.runtime import Display, Program, Quiet, Refused, Result, evaluate, load_model, resume, train, verify_run
from dlspec.runtime.checkpoint import committed

# What follows has to hold with everything on that keeps a state or draws.
OPTIMIZERS = {
    "adamw": ADAMW,
    "sgd": SGD,
    "rmsprop": "RMSprop(parameter_groups(model), lr=1e-3, momentum=0.9)",
    "radam": "RAdam(parameter_groups(model), lr=3e-3)",
}


CHANGED = {"source": "made", "options": {"hash": "1" * 64}}


class Notes(Quiet):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def start(program: Program, run: Path, **options: Any) -> Result:
    return train(program, run.parent, run, open_data=open_windows, **options)


def go_on(program: Program, run: Path, **options: Any) -> Result:
    return resume(program, run, open_data=open_windows, **options)


def require_equal(program: Program, folder: Path, stops: list[int]) -> None:
    start(program, folder / "whole")
    first, *others = stops
    assert start(program, folder / "parts", until=first).finished is None
    for stop in others:
        go_on(program, folder / "parts", until=stop)
    result = go_on(program, folder / "parts")
    assert result.finished == "steps" and result.step == result.steps
    assert same_weights(folder / "whole", folder / "parts")
    assert metrics(folder / "whole") == metrics(folder / "parts")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("drop", [0.0, 0.2], ids=["still", "dropout"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"accumulate": 2, "clip": 0.5}, {"accumulate": 4, "clip_value": 0.01, "validate": {"steps": 3}}],
    ids=["plain", "accumulate+clip", "accumulate+validate"],
)
def test_one_stop_in_the_middle_of_a_pass(
    tmp_path: Path, optimizer: str, drop: float, settings: dict[str, Any]
) -> None:
    # 45 examples in batches of 8: five updates a pass; 7 is in the second.
    require_equal(gpt(settings, drop=drop, optimizer=OPTIMIZERS[optimizer]), tmp_path, [7])


@pytest.mark.parametrize("stops", [[1], [5], [11], [1, 2, 3, 4, 5, 6], [3, 10]], ids=str)
def test_stops_anywhere(tmp_path: Path, stops: list[int]) -> None:
    settings = {"validate": {"steps": 2}, "checkpoint": {"every": {"steps": 3}, "keep": 2}, "clip": 1.0}
    require_equal(gpt(settings), tmp_path, stops)


def test_with_running_statistics_and_other_precision(tmp_path: Path) -> None:
    """BatchNorm keeps buffers, one of them a whole number; bf16 goes through autocast."""
    base = digits({"epochs": 1, "precision": "bf16", "accumulate": 2, "validate": None})
    model = base.model_code.replace("x = F.relu(self.fc2(x))", "x = F.relu(self.norm(self.fc2(x)))").replace(
        "        self.head =", "        self.norm = nn.BatchNorm1d(config.hidden)\n        self.head ="
    )
    model = model.replace(
        "        init_linear(self.head", "        self.norm.reset_parameters()\n        init_linear(self.head"
    )
    program = replace(base, model_code=model)
    train(program, tmp_path, tmp_path / "whole")
    train(program, tmp_path, tmp_path / "parts", until=9)
    resume(program, tmp_path / "parts")
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    assert load_model(program, tmp_path / "parts").get_buffer("norm.num_batches_tracked").item() == 44


def test_samples_are_cut_back_too(tmp_path: Path) -> None:
    program = gpt({"sample": {"every": {"steps": 2}, "prompt": "x"}, "checkpoint": {"every": {"steps": 3}, "keep": 9}})

    def sampler(model: nn.Module, prompt: str) -> str:
        return f"{next(model.parameters()).sum().item():.9g}"

    start(program, tmp_path / "whole", sampler=sampler)
    start(program, tmp_path / "parts", sampler=sampler, until=8)
    go_on(program, tmp_path / "parts", sampler=sampler, checkpoint=3)
    texts = [(tmp_path / name / "samples.jsonl").read_text() for name in ("whole", "parts")]
    assert texts[0] == texts[1] and texts[0].count("\n") == 6


def test_a_run_without_a_checkpoint_starts_again(tmp_path: Path) -> None:
    start(gpt(), tmp_path / "whole")
    start(gpt(), tmp_path / "parts", until=5)
    shutil.rmtree(newest(tmp_path / "parts"))
    (tmp_path / "parts/checkpoints/latest").unlink()  # which says that there was one
    result = go_on(gpt(), tmp_path / "parts")
    assert result.finished == "steps"
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")


def test_from_an_earlier_checkpoint(tmp_path: Path) -> None:
    program = gpt({"checkpoint": {"every": {"steps": 4}, "keep": 9}})
    start(program, tmp_path / "run")
    before = metrics(tmp_path / "run")
    weights = (newest(tmp_path / "run") / "model.safetensors").read_bytes()
    notes = Notes()
    go_on(program, tmp_path / "run", checkpoint=4, display=notes)
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "latest",
        "step-000004",
        "step-000008",
        "step-000008.aside-1",
        "step-000012",
        "step-000012.aside-1",
    ]
    assert sum("set aside" in line for line in notes.lines) == 2
    assert metrics(tmp_path / "run") == before
    assert (newest(tmp_path / "run") / "model.safetensors").read_bytes() == weights
    with pytest.raises(Refused, match="no checkpoint of step 5") as caught:
        go_on(program, tmp_path / "run", checkpoint=5)
    assert caught.value.help == "There are: 4, 8, 12."


def test_a_moved_run_goes_on(tmp_path: Path) -> None:
    start(gpt(), tmp_path / "whole")
    start(gpt(), tmp_path / "there" / "runs" / "one", until=5)
    shutil.move(tmp_path / "there", tmp_path / "here")
    go_on(gpt(), tmp_path / "here" / "runs" / "one")
    assert same_weights(tmp_path / "whole", tmp_path / "here" / "runs" / "one")


def test_data_is_found_where_it_moved_with_the_run(tmp_path: Path) -> None:
    seen: list[Path] = []

    def remember(settings_data: dict[str, Any], *, base: Path, seed: int) -> Any:
        seen.append(base)
        return open_windows(settings_data, base=base, seed=seed)

    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    train(gpt(), project / "data", project / "runs" / "one", open_data=remember, until=2)
    project.rename(tmp_path / "renamed")
    resume(gpt(), tmp_path / "renamed" / "runs" / "one", open_data=remember, until=4)
    (tmp_path / "elsewhere").mkdir()
    resume(gpt(), tmp_path / "renamed" / "runs" / "one", open_data=remember, data_base=tmp_path / "elsewhere", until=6)
    resume(gpt(), tmp_path / "renamed" / "runs" / "one", open_data=remember)
    elsewhere = tmp_path / "elsewhere"
    assert seen == [project / "data", tmp_path / "renamed" / "data", elsewhere, elsewhere]


def test_changed_data_is_refused(tmp_path: Path) -> None:
    start(gpt(), tmp_path / "run", until=5)
    before = metrics(tmp_path / "run")

    def changed(settings_data: dict[str, Any], *, base: Path, seed: int) -> Any:
        data = open_windows(settings_data, base=base, seed=seed)
        return replace(data, fingerprint={"made": {"sha256": "f" * 64, "size": 600}, "more": {"sha256": "", "size": 1}})

    with pytest.raises(Refused, match=r"made was changed \(540 bytes then, 600 now\); more is new"):
        resume(gpt(), tmp_path / "run", open_data=changed)
    assert metrics(tmp_path / "run") == before
    assert go_on(gpt(), tmp_path / "run").finished == "steps"


def test_a_finished_run_says_so(tmp_path: Path) -> None:
    done = start(gpt(), tmp_path / "run")
    manifest = (tmp_path / "run" / "manifest.json").read_bytes()
    notes = Notes()
    again = go_on(gpt(), tmp_path / "run", display=notes)
    assert again == done
    assert "is finished at step 12: all steps are done. Train on with `--set train.steps=" in notes.lines[0]
    assert (tmp_path / "run" / "manifest.json").read_bytes() == manifest


def test_an_early_stopped_run_says_so_and_one_before_it_keeps_its_patience(tmp_path: Path) -> None:
    rule = {"validate": {"steps": 2}, "early_stop": {"patience": 3, "on": "validation.loss"}, "steps": 40}
    program = gpt(rule, rate="1e-3 if step < 4 else 0.0")
    whole = start(program, tmp_path / "whole")
    assert whole.finished == "early_stop" and 6 < whole.step < 40
    start(program, tmp_path / "parts", until=whole.step - 1)
    parts = go_on(program, tmp_path / "parts")
    assert (parts.finished, parts.step) == (whole.finished, whole.step)
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    notes = Notes()
    assert go_on(program, tmp_path / "parts", display=notes).finished == "early_stop"
    assert "early stopping. Train on with `--set train.early_stop=none`" in notes.lines[0]


def test_the_checkpoint_of_the_best_validation_is_kept(tmp_path: Path) -> None:
    """Beside the newest ones, in a run that was interrupted after it too."""
    rule = {"validate": {"steps": 2}, "early_stop": {"patience": 5, "on": "validation.loss"}, "steps": 40}
    program = gpt({**rule, "checkpoint": {"every": {"steps": 1}, "keep": 2}}, rate="1e-3 if step < 4 else 0.0")
    whole = start(program, tmp_path / "whole")
    assert whole.finished == "early_stop" and whole.best is not None and whole.best < whole.step - 5
    start(program, tmp_path / "parts", until=whole.best + 3)
    assert go_on(program, tmp_path / "parts") == replace(whole, run=tmp_path / "parts")
    for run in ("whole", "parts"):
        steps = [one.step for one in committed(tmp_path / run / "checkpoints")]
        assert steps == [whole.best, whole.step - 1, whole.step]
    losses = {line["step"]: line["loss"] for line in metrics(tmp_path / "whole") if line["split"] == "validation"}
    assert losses[whole.best] == min(losses.values())
    best = evaluate(program, tmp_path / "whole", checkpoint=whole.best, open_data=open_windows)
    assert best["loss"] == losses[whole.best]


def test_without_early_stopping_none_is(tmp_path: Path) -> None:
    result = start(gpt({"validate": {"steps": 2}, "checkpoint": {"every": {"steps": 1}, "keep": 2}}), tmp_path / "run")
    assert result.best is None
    steps = [one.step for one in committed(tmp_path / "run" / "checkpoints")]
    assert steps == [result.step - 1, result.step]


def test_a_validation_that_was_interrupted_is_made_up_for(tmp_path: Path) -> None:
    """The last one, at the end of the run, too: the run is finished by the session that completes it."""
    program = gpt({"validate": {"steps": 4}})
    start(program, tmp_path / "whole")
    for stop in (4, 12):
        parts = tmp_path / f"parts-{stop}"
        start(program, parts, until=stop)
        assert metrics(parts)[-1]["split"] == "train" and metrics(parts)[-1]["step"] == stop
        assert go_on(program, parts).finished == "steps"
        assert metrics(parts) == metrics(tmp_path / "whole")
        assert go_on(program, parts).finished == "steps"


# --- a changed spec -------------------------------------------------------------------------------------------------


def test_more_steps(tmp_path: Path) -> None:
    start(gpt({"steps": 20}), tmp_path / "whole", texts={"resolved.json": "20"})
    start(gpt(), tmp_path / "parts", texts={"resolved.json": "12"})
    changed = gpt({"steps": 20})
    assert go_on(changed, tmp_path / "parts", texts={"resolved.json": "20"}).step == 20
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    run = verify_run(tmp_path / "parts")
    assert run.texts["resolved.json"] == "20" and run.manifest.program == changed.hash
    assert [session.step for session in run.manifest.sessions] == [0, 12]


def test_another_recipe_code_is_laid_in(tmp_path: Path) -> None:
    start(gpt(), tmp_path / "run", until=5)
    changed = gpt(rate="1e-4")
    go_on(changed, tmp_path / "run")
    assert verify_run(tmp_path / "run").texts["gpt_recipe.py"] == changed.recipe_code
    assert [line["lr"] for line in metrics(tmp_path / "run")][5:] == [1e-4] * 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch": 4}, r"another batch \(8 then, 4 now\)"),
        ({"seed": 3}, r"another seed \(0 then, 3 now\)"),
        ({"data": {"source": "made", "options": {"train": 46}}}, "another data"),
        ({"steps": 3}, "is at step 5 already, and the changed spec ends at 3"),
    ],
)
def test_what_cannot_be_kept_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    start(gpt(), tmp_path / "run", until=5)
    with pytest.raises(Refused, match=words):
        go_on(gpt(change), tmp_path / "run")
    assert verify_run(tmp_path / "run").manifest.program == gpt().hash


def test_another_optimizer_or_model_is_refused(tmp_path: Path) -> None:
    start(gpt(), tmp_path / "run", until=5)
    with pytest.raises(Refused, match="trained with AdamW, and SGD cannot take over its state"):
        go_on(gpt(optimizer=SGD), tmp_path / "run")
    wide = replace(gpt(), model_code=gpt().model_code.replace("dim: int = 16", "dim: int = 32"))
    with pytest.raises(
        Refused, match=r"wte.weight is float32\[32, 16\] in the checkpoint, float32\[32, 32\] in the model"
    ):
        go_on(wide, tmp_path / "run")


def test_a_crash_while_texts_are_replaced_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(gpt(), tmp_path / "run", until=5, texts={"resolved.json": "old", "spec.dlspec": "old"})
    changed, texts = gpt(rate="1e-4"), {"resolved.json": "new", "spec.dlspec": "new"}
    from dlspec.runtime import rundir

    real, calls = rundir.replace_file, []

    def dies(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise OSError("the power went")
        real(path, content)

    monkeypatch.setattr(rundir, "replace_file", dies)
    with pytest.raises(OSError, match="the power went"):
        go_on(changed, tmp_path / "run", texts=texts)
    monkeypatch.undo()
    assert {(tmp_path / "run" / name).read_text() for name in texts} == {"new", "old"}
    run = verify_run(tmp_path / "run")
    assert {run.texts[name] for name in texts} == {"new"} and run.texts["gpt_recipe.py"] == changed.recipe_code
    go_on(changed, tmp_path / "run")
    assert {(tmp_path / "run" / name).read_text() for name in texts} == {"new"}
    assert verify_run(tmp_path / "run").manifest.incoming is None


# --- machine --------------------------------------------------------------------------------------------------------


def test_threads_are_the_runs_and_put_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        start(gpt(), tmp_path / "run", until=5)
        torch.set_num_threads(1)
        notes, seen = Notes(), []

        class Seen(Notes):
            def saved(self, step: int) -> None:
                seen.append(torch.get_num_threads())

        go_on(gpt(), tmp_path / "run", display=Seen(), until=8)
        assert seen == [2] and torch.get_num_threads() == 1
        go_on(gpt(), tmp_path / "run", display=notes, threads=1)
        assert notes.lines == [
            "threads: 2 then, 1 now: the outcome may differ in the last bits from that of a run never stopped"
        ]
    finally:
        torch.set_num_threads(before)


def test_another_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.11.0")
    start(gpt(), tmp_path / "run", until=5)
    monkeypatch.undo()
    notes = Notes()
    assert go_on(gpt(), tmp_path / "run", display=notes).finished == "steps"
    assert [line.partition(",")[0] for line in notes.lines] == ["torch: 2.11.0 then"]


def test_an_edited_log_is_kept_and_told(tmp_path: Path) -> None:
    start(gpt(), tmp_path / "run", until=5)
    log = tmp_path / "run" / "metrics.jsonl"
    log.write_text(log.read_text().replace('"epoch"', '"pass"') + "half a li")
    notes = Notes()
    go_on(gpt(), tmp_path / "run", display=notes)
    assert "metrics.jsonl was edited" in notes.lines[0]
    assert [line["step"] for line in metrics(tmp_path / "run")] == [*range(1, 13), 12]


# --- evaluate -------------------------------------------------------------------------------------------------------


def test_evaluate_and_load_the_trained_model(tmp_path: Path) -> None:
    program = gpt({"checkpoint": {"every": {"steps": 4}, "keep": 9}, "validate": {"steps": 4}})
    display: Display = Quiet()
    done = start(program, tmp_path / "run", display=display)
    assert evaluate(program, tmp_path / "run", open_data=open_windows) == done.validation
    earlier = evaluate(program, tmp_path / "run", checkpoint=4, open_data=open_windows)
    validations = [line["loss"] for line in metrics(tmp_path / "run") if line["split"] == "validation"]
    assert earlier == {"loss": validations[0]}
    train_loss = evaluate(program, tmp_path / "run", "train", open_data=open_windows)["loss"]
    assert train_loss != done.validation["loss"]
    with pytest.raises(Refused, match="no split test") as caught:
        evaluate(program, tmp_path / "run", "test", open_data=open_windows)
    assert caught.value.help == "There are: train, validation."
    other = gpt({"checkpoint": {"every": {"steps": 4}, "keep": 9}, "validate": {"steps": 4}, "data": CHANGED})
    notes = Notes()
    evaluate(other, tmp_path / "run", display=notes, open_data=open_windows)
    assert notes.lines == [
        "the data is not what the run was trained on: made was changed (540 bytes then, 540 now)",
    ]
    model = load_model(program, tmp_path / "run")
    assert not model.training and model.get_parameter("head.weight") is model.get_parameter("wte.weight")


def test_evaluating_before_a_checkpoint_is_refused(tmp_path: Path) -> None:
    start(gpt(), tmp_path / "run", until=1)
    for path in (tmp_path / "run/checkpoints").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(Refused, match="has no checkpoint yet"):
        evaluate(gpt(), tmp_path / "run", open_data=open_windows)


@pytest.mark.parametrize("kept", ["nothing", "the folder", "latest"])
@pytest.mark.parametrize("until", [None, 3])
def test_a_run_whose_checkpoints_are_gone_is_left_as_it_is(tmp_path: Path, until: int | None, kept: str) -> None:
    run = tmp_path / "run"
    command = "dlspec train 'a b.dlspec' --run run --set train.seed=1"
    start(gpt(), run, until=until, command=command)
    if until is not None:
        go_on(gpt(), run, until=5)
    for path in (run / "checkpoints").iterdir():
        if path.is_dir() or kept == "the folder":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if kept == "nothing":
        shutil.rmtree(run / "checkpoints")
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    for call in (
        lambda: go_on(gpt(), run),
        lambda: go_on(gpt({"steps": 20}), run),
        lambda: go_on(gpt(), run, checkpoint=1),
        lambda: evaluate(gpt(), run, open_data=open_windows),
        lambda: load_model(gpt(), run),
    ):
        with pytest.raises(
            Refused, match=rf"was trained to step {12 if until is None else '[35]'}, .* are gone"
        ) as told:
            call()
        assert told.value.exit_code == 1
        assert f"`dlspec train 'a b.dlspec' --set train.seed=1 --run {run}-1`" in told.value.help
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_a_missing_folder_of_checkpoints_is_made(tmp_path: Path) -> None:
    """As an empty one is left out by what copies a run."""
    start(gpt(), tmp_path / "run", until=0)
    (tmp_path / "run/checkpoints").rmdir()
    assert go_on(gpt(), tmp_path / "run").finished == "steps"
    assert newest(tmp_path / "run").name == "step-000012"
