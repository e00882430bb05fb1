"""The proof of a restart, and that it fails where something hangs on what a restart forgets."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from runtime_cases import digits, golden, replace_all

from dlspec.runtime import Program, ProofFailed, RuntimeFault, verify_resume


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    proof = verify_resume(digits({"validate": {"steps": 3}}), tmp_path, 8)
    assert (proof.steps, proof.restart) == (8, 4)
    assert proof.files == ("model.safetensors", "optimizer.safetensors")
    assert proof.records == 8 + 3
    assert list(tmp_path.iterdir()) == [], "it leaves nothing behind"


def test_samples_are_no_part_of_it(tmp_path: Path) -> None:
    sample = {"every": {"steps": 2}, "prompt": "a"}
    assert verify_resume(digits({"validate": None, "sample": sample}), tmp_path, 2).steps == 2


def with_forward(line: str, before: str = "") -> Program:
    model, recipe, settings = golden("digits")
    changes = {"        x = image.flatten(1)  # [B, 64]\n": f"        {line}\n        x = image.flatten(1)\n"}
    return Program("digits", replace_all(model, changes) + before, recipe, {**settings, "validate": None})


@pytest.mark.slow
def test_a_state_that_no_checkpoint_holds_is_found(tmp_path: Path) -> None:
    forgetful = with_forward("CALLS.append(1); image = image * (1 + len(CALLS) / 1000)", "\n\nCALLS = []\n")
    with pytest.raises(ProofFailed, match=r"after a restart model\.safetensors is not") as caught:
        verify_resume(forgetful, tmp_path, 6)
    assert caught.value.exit_code == 5


@pytest.mark.slow
def test_chance_that_no_seed_reaches_is_found(tmp_path: Path) -> None:
    chancy = with_forward("import os; image = image * (1 + os.urandom(1)[0] / 10000)")
    with pytest.raises(ProofFailed):
        verify_resume(chancy, tmp_path, 4)


@pytest.mark.slow
def test_a_schedule_that_remembers_is_found(tmp_path: Path) -> None:
    """The weights hardly tell, the records do: the loss is the same for a rate of nothing."""
    base = digits({"validate": None})
    rate = "\n\nASKED = []\n\n\ndef learning_rate(step):\n    ASKED.append(step)\n    return 1e-30 * len(ASKED)\n"
    with pytest.raises(ProofFailed):
        verify_resume(replace(base, recipe_code=base.recipe_code + rate), tmp_path, 4)


@pytest.mark.slow
def test_a_fault_in_the_second_half_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends the other process is told here as it was there."""
    monkeypatch.setenv("PARENT", str(os.getpid()))
    nan = with_forward("import os; image = image * (1 if int(os.environ['PARENT']) == os.getpid() else float('nan'))")
    with pytest.raises(RuntimeFault, match="step 2: the loss is not a finite number") as caught:
        verify_resume(nan, tmp_path, 4)
    assert caught.value.exit_code == 3


@pytest.mark.slow
def test_a_bug_in_the_second_half_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARENT", str(os.getpid()))
    failing = with_forward("import os; assert int(os.environ['PARENT']) == os.getpid(), 'another process'")
    with pytest.raises(RuntimeError, match="another process"):
        verify_resume(failing, tmp_path, 4)
