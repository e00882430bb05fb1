"""The manifest of a run: what it was made from, where and with what, and how often it was taken up again.

It carries the hash of itself, so that any damage shows. That is no protection from somebody who wants to deceive:
nothing in a run directory is ever executed.
"""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy
import torch

from .. import __version__
from .durable import replace_file
from .errors import Refused
from .program import canonical_json

FORMAT = 1
NAME = "manifest.json"
# Texts lie beside these, in the run directory itself and nowhere else.
TAKEN = (NAME, "checkpoints", "lock", "metrics.jsonl", "samples.jsonl")
NAME_OF_A_TEXT = re.compile(r"[^/\\\0.][^/\\\0]*")


@dataclass(frozen=True)
class Machine:
    """What bit equality hangs on besides the program and the data."""

    python: str
    torch: str
    numpy: str
    dlspec: str
    cpu: str
    device: str
    accelerator: str | None
    threads: int

    def differences(self, now: Machine) -> list[str]:
        """What is another here than `now`, one line each: "torch: 2.12.0 then, 2.13.0 now"."""
        then, new = asdict(self), asdict(now)
        return [f"{key}: {then[key]} then, {new[key]} now" for key in then if then[key] != new[key]]


@dataclass(frozen=True)
class Session:
    """One stretch of training: from `step` on, by `command`."""

    time: str
    step: int
    command: str
    program: str
    machine: Machine


@dataclass(frozen=True)
class Manifest:
    """What is known of a run. `texts` and `data` map file names to hashes, `program` is Program.hash.

    `finished` says why there is nothing more to do, and what the last validation gave.
    `data_base` is the folder that data files are relative to, absolute and as seen from the run directory, so that
    the run goes on after it, or the whole project, has moved. `incoming` holds the new texts of a session that
    changes the spec, from before the files are replaced until all of them are. `start` are the hashes of the files that
    the first weights are from, where they were not drawn.
    """

    name: str
    recipe: str
    seed: int
    program: str
    texts: Mapping[str, str]
    data: Mapping[str, Mapping[str, Any]]
    data_base: tuple[str, str]
    sessions: tuple[Session, ...]
    finished: Mapping[str, Any] | None = None
    incoming: Mapping[str, str] | None = None
    start: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in (*self.texts, *(self.incoming or ())):
            if name in TAKEN or not NAME_OF_A_TEXT.fullmatch(name):
                raise ValueError(f"no name for a text of a run: {name!r}")


def this_machine(device: torch.device) -> Machine:
    """What this process computes with on `device`."""
    on_cuda = device.type == "cuda"
    return Machine(
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=numpy.__version__,
        dlspec=__version__,
        cpu=_cpu(),
        device=device.type,
        accelerator=torch.cuda.get_device_name(device) if on_cuda else None,
        threads=torch.get_num_threads(),
    )


def new_session(step: int, command: str, program: str, machine: Machine) -> Session:
    return Session(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), step, command, program, machine)


def encode(manifest: Manifest) -> bytes:
    """The file's content: indented JSON whose last entry is the hash of the rest."""
    body = {"format": FORMAT, **asdict(manifest)}
    return _text({**body, "sha256": _hash(body)}).encode()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    replace_file(folder / NAME, encode(manifest))


def read_manifest(folder: Path) -> Manifest:
    """Raises Refused where there is none, where it is damaged in any byte, or where it is from a newer dlspec."""
    path = folder / NAME
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise Refused(
            f"{folder} is not a run: it has no {NAME}", "Give the directory that `dlspec train` made."
        ) from None
    damaged = Refused(
        f"{path} is damaged: it is not what was written",
        "Copy the run again from where it is whole. The checkpoints may still be good; their COMMIT files say so.",
    )
    try:
        body = json.loads(content)
    except ValueError:
        raise damaged from None
    if not isinstance(body, dict) or not isinstance(body.get("format"), int):
        raise damaged
    if body["format"] > FORMAT:
        raise Refused(
            f"{path} has format {body['format']}, this dlspec reads formats up to {FORMAT}",
            "Use the dlspec that wrote it, or a newer one.",
        )
    digest = body.pop("sha256", None)
    # Any change of a byte has to show, also of one that means nothing in JSON.
    if digest != _hash(body) or _text({**body, "sha256": digest}).encode() != content:
        raise damaged
    try:
        return _decode(body)
    except (KeyError, TypeError, ValueError):
        raise damaged from None


def with_session(manifest: Manifest, session: Session) -> Manifest:
    return replace(manifest, sessions=(*manifest.sessions, session), program=session.program)


def _decode(body: Mapping[str, Any]) -> Manifest:
    """Raises KeyError, TypeError or ValueError where the shape is not a manifest's."""
    sessions = tuple(Session(**{**one, "machine": Machine(**one["machine"])}) for one in body["sessions"])
    base, seen_from_run = body["data_base"]
    texts = {**body["texts"], **(body["incoming"] or {})}
    strings = (body["name"], body["recipe"], body["program"], base, seen_from_run, *texts.values())
    if not sessions or not all(isinstance(one, str) for one in strings):
        raise TypeError("a manifest of another shape")
    fields = {key: value for key, value in body.items() if key != "format"}
    return Manifest(**{**fields, "data_base": (base, seen_from_run), "sessions": sessions})


def _text(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _hash(body: Mapping[str, Any]) -> str:
    return sha256(canonical_json(body).encode()).hexdigest()


def _cpu() -> str:
    """The kind of CPU: its name, and the instructions that PyTorch's kernels use on it."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
