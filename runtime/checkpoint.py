"""Checkpoints: a folder each, that is committed whole or does not count.

    step-000500.tmp/    model.safetensors, optimizer.safetensors, state.json, each synced
                        trained.safetensors, where the model's weights are averages of those that are trained
                        loss.safetensors, where the loss keeps something from batch to batch
        COMMIT          written last: size and sha256 of these, and of itself
    step-000500/        the rename that makes it count; then `latest` (for people and tools) names it

What a crash leaves has no COMMIT or ends in .tmp, and is passed over. What has a COMMIT and is not what COMMIT says
was damaged later, and is refused.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from .durable import FREE_SOME_SPACE, failed_writes_are_told, hash_file, replace_file, sync, write_synced
from .errors import DiskFull, Refused
from .program import canonical_json

FORMAT = 1
MODEL = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
TRAINED = "trained.safetensors"
LOSS = "loss.safetensors"
STATE = "state.json"
COMMIT = "COMMIT"
LATEST = "latest"
UNFINISHED = ".tmp"
# What has to be free to start writing, in parts of what will be written.
HEADROOM = 1.1
FEWEST_KEPT = 2


@dataclass(frozen=True)
class Contents:
    """Everything that a run goes on from. `model` is what is evaluated and exported, `trained` the weights that
    training goes on from where they are others; `kept` is what the loss keeps from batch to
    batch; `state` is JSON: the position, and whatever is no tensor."""

    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    state: Mapping[str, Any]
    trained: Mapping[str, Tensor] = field(default_factory=dict)
    kept: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def tensors(self) -> dict[str, Mapping[str, Tensor]]:
        """The files of tensors by name."""
        others = {TRAINED: self.trained, LOSS: self.kept}
        return {MODEL: self.model, OPTIMIZER: self.optimizer} | {name: one for name, one in others.items() if one}


@dataclass(frozen=True, order=True)
class Checkpoint:
    """A committed checkpoint, not yet verified."""

    step: int
    path: Path


def save_checkpoint(folder: Path, step: int, contents: Contents, keep: int, *, spared: int | None = None) -> Checkpoint:
    """Commit `contents` below `folder`, then delete the oldest beyond `keep` (never leaving fewer than two), but for
    that of the step `spared`.

    Raises DiskFull, after which nothing of the new one is left and all others are as they were.
    """
    path = folder / _name(step)
    fresh = path.with_name(path.name + UNFINISHED)
    with failed_writes_are_told(f"the checkpoint of step {step}"):
        folder.mkdir(exist_ok=True)  # what copies a run may leave an empty folder out
        _require_space(folder, contents)
        try:
            fresh.mkdir()
            _write(fresh, contents)
            os.rename(fresh, path)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        sync(folder)
        replace_file(folder / LATEST, f"{path.name}\n".encode())
        for old in committed(folder)[: -max(keep, FEWEST_KEPT)]:
            if old.step != spared:
                delete_checkpoint(old)
    return Checkpoint(step, path)


def committed(folder: Path) -> list[Checkpoint]:
    """The committed checkpoints, the oldest first."""
    found = []
    for path in folder.glob("step-*"):
        number = path.name.removeprefix("step-")
        if number.isdecimal() and (path / COMMIT).is_file():
            found.append(Checkpoint(int(number), path))
    return sorted(found)


def choose_checkpoint(folder: Path, step: int | None) -> Checkpoint | None:
    """The newest checkpoint, or that of `step`; None where there is none at all."""
    found = committed(folder)
    if step is None:
        return found[-1] if found else None
    for one in found:
        if one.step == step:
            return one
    steps = ", ".join(str(one.step) for one in found) or "none"
    raise Refused(f"{folder} has no checkpoint of step {step}", f"There are: {steps}.")


def read_checkpoint(checkpoint: Checkpoint) -> Contents:
    """The contents of a checkpoint, every byte of it verified. Raises Refused where it is not what was committed."""
    commit = _read_commit(checkpoint)
    model, optimizer, state = (_read_file(checkpoint, commit, name) for name in (MODEL, OPTIMIZER, STATE))
    try:
        others = (load(_read_file(checkpoint, commit, name)) if name in commit else {} for name in (TRAINED, LOSS))
        return Contents(load(model), load(optimizer), json.loads(state), *others)
    except (SafetensorError, ValueError) as error:
        raise _damaged(checkpoint, f"it cannot be read ({error})") from None


def read_evaluated(checkpoint: Checkpoint) -> Contents:
    """What a model is evaluated with, its weights and what the loss keeps: the whole of the checkpoint verified."""
    commit = _read_commit(checkpoint)
    for name in commit:
        if name not in (MODEL, LOSS):
            _read_file(checkpoint, commit, name)
    files = [_read_file(checkpoint, commit, name) for name in (MODEL, LOSS) if name in commit]
    try:
        model, *kept = map(load, files)
        return Contents(model, {}, {}, kept=kept[0] if kept else {})
    except SafetensorError as error:
        raise _damaged(checkpoint, f"it cannot be read ({error})") from None


def delete_checkpoint(checkpoint: Checkpoint) -> None:
    """Delete it so that a crash in between leaves nothing that looks committed."""
    doomed = checkpoint.path.with_name(checkpoint.path.name + UNFINISHED)
    os.rename(checkpoint.path, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def clean_up(folder: Path) -> None:
    """Remove what crashes left. Only for who holds the lock of the run."""
    for path in folder.glob(f"*{UNFINISHED}"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path in folder.glob("step-*"):
        if path.name.removeprefix("step-").isdecimal() and path.is_dir() and not (path / COMMIT).exists():
            shutil.rmtree(path)


def set_aside(folder: Path, after: int) -> list[Path]:
    """Take the checkpoints of steps beyond `after` out of the run's history; returns where they are now."""
    moved = []
    for one in committed(folder):
        if one.step <= after:
            continue
        tries = (one.path.with_name(f"{one.path.name}.aside-{n}") for n in range(1, 1_000_000))
        target = next(path for path in tries if not path.exists())
        os.rename(one.path, target)
        moved.append(target)
    if moved:
        sync(folder)
    return moved


def _write(fresh: Path, contents: Contents) -> None:
    for name, tensors in contents.tensors.items():
        save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, fresh / name)
        sync(fresh / name)
    write_synced(fresh / STATE, (json.dumps(contents.state, indent=2, allow_nan=False) + "\n").encode())
    files = {
        name: {"sha256": hash_file(fresh / name), "size": (fresh / name).stat().st_size}
        for name in (*contents.tensors, STATE)
    }
    write_synced(fresh / COMMIT, _commit_text({"format": FORMAT, "files": files}))
    sync(fresh)


def _read_file(checkpoint: Checkpoint, commit: Mapping[str, Any], name: str) -> bytes:
    try:
        content = (checkpoint.path / name).read_bytes()
    except FileNotFoundError:
        raise _damaged(checkpoint, f"{name} is missing") from None
    if len(content) != commit[name]["size"]:
        raise _damaged(checkpoint, f"{name} has {len(content)} bytes, {commit[name]['size']} were written")
    if sha256(content).hexdigest() != commit[name]["sha256"]:
        raise _damaged(checkpoint, f"the sha256 of {name} is not the one that COMMIT holds")
    return content


def _read_commit(checkpoint: Checkpoint) -> dict[str, Any]:
    content = (checkpoint.path / COMMIT).read_bytes()
    try:
        body = json.loads(content)
        number = body["format"]
        del body["sha256"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(checkpoint, "COMMIT cannot be read") from None
    if isinstance(number, int) and number > FORMAT:
        raise Refused(
            f"the checkpoint {checkpoint.path} has format {number}, this dlspec reads formats up to {FORMAT}",
            "Use the dlspec that wrote it, or a newer one.",
        )
    if _commit_text(body) != content:
        raise _damaged(checkpoint, "COMMIT is not what was written")
    return body["files"]


def _commit_text(body: Mapping[str, Any]) -> bytes:
    digest = sha256(canonical_json(body).encode()).hexdigest()
    return (json.dumps({**body, "sha256": digest}, indent=2) + "\n").encode()


def _damaged(checkpoint: Checkpoint, reason: str) -> Refused:
    """Says which checkpoint to take instead: the newest whole one before."""
    for other in reversed(committed(checkpoint.path.parent)):
        if other.step < checkpoint.step and _is_whole(other):
            help = (
                f"The one before it, of step {other.step}, is whole: go on from there with `--checkpoint {other.step}`."
            )
            break
    else:
        help = "There is no whole one before it: train anew."
    return Refused(f"the checkpoint {checkpoint.path} is damaged: {reason}", help)


def _is_whole(checkpoint: Checkpoint) -> bool:
    try:
        body = json.loads((checkpoint.path / COMMIT).read_bytes())
        return all(hash_file(checkpoint.path / name) == one["sha256"] for name, one in body["files"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _require_space(folder: Path, contents: Contents) -> None:
    tensors = [tensor for file in contents.tensors.values() for tensor in file.values()]
    needed = HEADROOM * sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFull(
            f"a checkpoint needs {needed / 1e6:,.1f} MB and {free / 1e6:,.1f} MB are free",
            FREE_SOME_SPACE,
        )


def _name(step: int) -> str:
    return f"step-{step:06d}"


def tensors_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """The parameters and persistent buffers of a model by name; tied ones once, under their first name."""
    kept = model.state_dict(keep_vars=True)
    found: dict[str, Tensor] = dict(model.named_parameters())
    return found | {name: buffer for name, buffer in model.named_buffers() if name in kept}
