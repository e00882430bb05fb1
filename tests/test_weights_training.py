"""A training that starts from a file: from its first step to a run that no longer needs the file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from runtime_cases import metrics, newest, same_weights
from safetensors.torch import load_file
from torch import Tensor
from weights_cases import SHAPES, drawn, program, spec, started, write

from dlspec.runtime import Program, Quiet, Refused, evaluate, resume, train, verify_resume, verify_run

START = 'weights("m.safetensors", skip = [head])'


class Notes(Quiet):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def learning(**keys: str) -> Program:
    return program(spec(START, **keys))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Weights of another head, small enough to learn from."""
    tensors = {name: tensor * 0.1 for name, tensor in drawn().items()}
    return write(
        tmp_path / "m.safetensors", tensors | {"head.weight": torch.zeros(37, 16), "head.bias": torch.zeros(37)}
    )


def test_the_first_step_is_taken_from_the_file(tmp_path: Path, file: Path) -> None:
    notes = Notes()
    still = learning(optimizer="SGD(lr = 1e-30)", steps="1")
    train(still, tmp_path, tmp_path / "run", display=notes)
    trained, theirs = trained_weights(tmp_path / "run"), load_file(file)
    assert all(torch.equal(trained[name], theirs[name]) for name in SHAPES if not name.startswith("head"))
    fresh = still.make_model().state_dict()
    assert torch.equal(trained["head.weight"], fresh["head.weight"])
    assert notes.lines[0] == "10 weights are those of m.safetensors; drawn as ever: head"


def test_the_manifest_has_the_hash_of_the_file(tmp_path: Path, file: Path) -> None:
    train(learning(), tmp_path, tmp_path / "run")
    start = verify_run(tmp_path / "run").manifest.start
    digest = sha256(file.read_bytes()).hexdigest()
    assert start == {"word": "weights", "source": "m.safetensors", "files": {"m.safetensors": digest}}


def test_a_run_without_a_start_has_none_in_its_manifest(tmp_path: Path) -> None:
    train(program(spec("none")), tmp_path, tmp_path / "run")
    assert verify_run(tmp_path / "run").manifest.start is None


def test_a_resumed_run_is_the_one_never_stopped_and_needs_no_file(tmp_path: Path, file: Path) -> None:
    run = learning(freeze="[stem]", rates="[head = 10]")
    train(run, tmp_path, tmp_path / "whole")
    train(run, tmp_path, tmp_path / "parts", until=3)
    file.unlink()
    resume(run, tmp_path / "parts", until=5)
    assert resume(run, tmp_path / "parts").finished == "steps"
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")
    assert verify_run(tmp_path / "parts").manifest.start == verify_run(tmp_path / "whole").manifest.start
    assert evaluate(run, tmp_path / "parts", "validation") == evaluate(run, tmp_path / "whole", "validation")


def test_a_run_without_a_checkpoint_begins_again_from_the_same_file(tmp_path: Path, file: Path) -> None:
    run, content = learning(), file.read_bytes()
    train(run, tmp_path, tmp_path / "whole")
    train(run, tmp_path, tmp_path / "parts", until=0)
    file.unlink()
    with pytest.raises(Refused, match=r"m\.safetensors is not there"):
        resume(run, tmp_path / "parts")
    write(file, load_file_of(content, tmp_path) | {"stem.bias": torch.ones(16)})
    with pytest.raises(Refused, match=r"m\.safetensors is not what the run was begun with: its sha256 is another"):
        resume(run, tmp_path / "parts")
    file.write_bytes(content)
    resume(run, tmp_path / "parts")
    assert same_weights(tmp_path / "whole", tmp_path / "parts")


def trained_weights(run: Path) -> dict[str, Tensor]:
    return load_file(newest(run) / "model.safetensors")


def load_file_of(content: bytes, folder: Path) -> dict[str, Tensor]:
    (folder / "copy.safetensors").write_bytes(content)
    return load_file(folder / "copy.safetensors")


def test_what_does_not_fit_leaves_no_run(tmp_path: Path, file: Path) -> None:
    with pytest.raises(Refused, match="does not fit the model"):
        train(program(spec('weights("m.safetensors")')), tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_momentum_copies_begin_as_their_modules(tmp_path: Path) -> None:
    model = """
model Net: (image: [B, 1, 8, 8]) -> (logits: [B, 10], slow: [B, 10]) {
  encoder: { flatten -> fc: Linear(10) } as logits
  image -> momentum_copy(encoder, 0.99) as slow
}
"""
    tensors = {"encoder.fc.weight": torch.randn(10, 64), "encoder.fc.bias": torch.randn(10)}
    run = program(spec('weights("m.safetensors")', model))
    write(tmp_path / "m.safetensors", tensors)
    state = started(run, tmp_path).state_dict()
    assert torch.equal(state["encoder_momentum.fc.weight"], tensors["encoder.fc.weight"])
    slow = {name.replace("encoder", "encoder_momentum"): torch.randn_like(tensor) for name, tensor in tensors.items()}
    write(tmp_path / "m.safetensors", tensors | slow)
    state = started(run, tmp_path).state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in (tensors | slow).items())
    write(tmp_path / "m.safetensors", {name.removeprefix("encoder."): tensor for name, tensor in tensors.items()})
    inside = program(spec('weights("m.safetensors", into = encoder)', model))
    state = started(inside, tmp_path).state_dict()
    assert torch.equal(state["encoder_momentum.fc.bias"], tensors["encoder.fc.bias"])


# --- as people do it -------------------------------------------------------------------------------------------------


def dlspec(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dlspec", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})


@pytest.mark.slow
def test_a_trial_run_tells_what_does_not_fit(tmp_path: Path, file: Path) -> None:
    (tmp_path / "net.dlspec").write_text(spec('weights("m.safetensors")'))
    done = dlspec(tmp_path, "train", "net.dlspec", "--dry-run")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "m.safetensors does not fit the model:" in done.stderr
    assert "head.bias [37] of the file is not head.bias [10] of the model" in done.stderr
    (tmp_path / "net.dlspec").write_text(spec(START))
    assert dlspec(tmp_path, "train", "net.dlspec", "--dry-run").returncode == 0
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_restart_in_another_process_changes_nothing(tmp_path: Path, file: Path) -> None:
    proof = verify_resume(learning(), tmp_path, steps=6)
    assert proof.restart == 3 and "model.safetensors" in proof.files


def pictures(folder: Path, classes: int, each: int) -> None:
    """A class has a colour."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install 'dlspec[images]'")
    random = np.random.default_rng(0)
    for label in range(classes):
        (folder / f"pet{label}").mkdir(parents=True)
        for number in range(each):
            noise = random.integers(0, 60, (40, 48, 3), dtype=np.uint8)
            noise[..., label % 3] += np.uint8(120)
            image.fromarray(noise).save(folder / f"pet{label}" / f"{number}.png")


def transfer(repo: Path, **replaced: str) -> Program:
    """specs/transfer.dlspec on small pictures of three classes."""
    text = (repo / "specs" / "transfer.dlspec").read_text()
    for old, new in {
        "size = 256": "size = 40",
        "random_resized_crop(224)": "random_resized_crop(32)",
        **replaced,
    }.items():
        assert old in text
        text = text.replace(old, new)
    return program(text, ["classes=3", "train.epochs=2", "train.batch=6"])


def published(repo: Path, folder: Path) -> dict[str, Tensor]:
    """The weights of specs/resnet18.dlspec by our names, written under those of torchvision."""
    resnet = program((repo / "specs" / "resnet18.dlspec").read_text()).make_model()
    weights = {name: tensor.clone() for name, tensor in resnet.state_dict().items()}
    weights["stem.norm.running_mean"] += 0.5
    names = {
        r"^stem\.conv": "conv1",
        r"^stem\.norm": "bn1",
        r"^stage(\d)\.basic\.": r"layer\1.0.",
        r"^stage(\d)\.basic_2\.": r"layer\1.1.",
        r"\.norm(\d)\.": r".bn\1.",
        r"\.skip\.conv2d": ".downsample.0",
        r"\.skip\.batch_norm": ".downsample.1",
        r"^head": "fc",
    }
    theirs = {}
    for name, tensor in weights.items():
        for ours, other in names.items():
            name = re.sub(ours, other, name)
        theirs[name] = tensor
    write(folder / "resnet18.safetensors", theirs)
    return weights


@pytest.mark.slow
def test_transfer_learning_from_a_spec_that_comes_with_dlspec(repo: Path, tmp_path: Path) -> None:
    """From the weights of specs/resnet18.dlspec: the stem stays, the head learns other classes, and a run that is
    stopped ends as one that is not, to the last bit."""
    pictures(tmp_path / "pets", 3, 8)
    weights = published(repo, tmp_path)
    run = transfer(repo)
    notes = Notes()
    result = train(run, tmp_path, tmp_path / "whole", display=notes)
    assert result.finished == "steps" and any("drawn as ever: head" in line for line in notes.lines)
    trained = trained_weights(tmp_path / "whole")
    assert trained["head.weight"].shape == (3, 512)
    stem = [name for name in trained if name.startswith("stem.")]
    assert stem and all(torch.equal(trained[name], weights[name]) for name in stem)
    moved = [n for n, t in trained.items() if not n.startswith(("stem.", "head.")) and not torch.equal(t, weights[n])]
    assert len(moved) == len([name for name in weights if not name.startswith(("stem.", "head."))])

    train(run, tmp_path, tmp_path / "parts", until=3)
    (tmp_path / "resnet18.safetensors").unlink()
    resume(run, tmp_path / "parts")
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")


@pytest.mark.slow
def test_the_head_learns_ten_times_as_fast(repo: Path, tmp_path: Path) -> None:
    """`rates = [head = 10]` beside `start`: after one step of Adam each weight has moved by its rate."""
    pictures(tmp_path / "pets", 3, 4)
    before = published(repo, tmp_path)
    run = transfer(repo, **{"warmup(5%) -> cosine(to = 0)": "constant", "decay = 0.01": "decay = 0"})
    one = replace(run, settings={**run.settings, "epochs": None, "steps": 1})
    train(one, tmp_path, tmp_path / "run")
    trained = trained_weights(tmp_path / "run")
    fresh = run.make_model().state_dict()
    head = (trained["head.weight"] - fresh["head.weight"]).abs()
    body = (trained["stage1.basic.conv1.weight"] - before["stage1.basic.conv1.weight"]).abs()
    assert head.median() == pytest.approx(1e-3, rel=0.01)
    assert body.median() == pytest.approx(1e-4, rel=0.01)
