"""The layout of a run directory, and whether one still is what was written.

spec.dlspec, resolved.json, <name>.py, <name>_recipe.py    texts, each with its hash in the manifest
manifest.json    metrics.jsonl    samples.jsonl    checkpoints/    lock
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from .durable import failed_writes_are_told, open_own, replace_file, sync, write_synced
from .errors import Refused
from .manifest import NAME, Manifest, encode, read_manifest, write_manifest

METRICS = "metrics.jsonl"
SAMPLES = "samples.jsonl"
CHECKPOINTS = "checkpoints"
LOCK = "lock"


@dataclass(frozen=True)
class Run:
    """A run directory that was found to be whole: its manifest and its texts."""

    path: Path
    manifest: Manifest
    texts: Mapping[str, str]

    @property
    def checkpoints(self) -> Path:
        return self.path / CHECKPOINTS


def next_run_path(name: str, root: Path = Path("runs")) -> Path:
    """`runs/<name>-<n>` with the first n that is free after all that were used."""
    used = [0]
    for path in root.glob(f"{name}-*"):
        number = path.name.removeprefix(f"{name}-")
        if number.isdecimal():
            used.append(int(number))
    return root / f"{name}-{max(used) + 1}"


def create_run(path: Path, manifest: Manifest, texts: Mapping[str, str]) -> Run:
    """Make a run directory, whole or not at all. Raises Refused where one exists, DiskFull."""
    require_new(path)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with failed_writes_are_told(f"the run directory {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fresh.mkdir()
            (fresh / CHECKPOINTS).mkdir()
            for name, text in texts.items():
                write_synced(fresh / name, text.encode())
            for empty in (METRICS, LOCK):
                write_synced(fresh / empty, b"")
            write_synced(fresh / NAME, encode(manifest))
            sync(fresh)
            try:
                os.rename(fresh, path)
            except OSError as error:
                if path.exists():  # another process was quicker
                    raise _exists(path) from error
                raise
            sync(path.parent)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    return Run(path, manifest, dict(texts))


def require_new(path: Path) -> None:
    """Raises Refused where something is at `path` already."""
    if path.exists():
        raise _exists(path)


def verify_run(path: Path, *, trust_code: bool = False) -> Run:
    """The run at `path`, if its manifest and texts are what was written; checkpoints are verified where they are read.

    Raises Refused with the reason: no run, a newer format, a manifest or text that is damaged, edited or missing.
    `trust_code` admits emitted .py files that were edited (`--trust-run-code`).
    """
    manifest = read_manifest(path)
    texts = {}
    for name, digest in manifest.texts.items():
        file = path / name
        if manifest.incoming and name in manifest.incoming:
            # Stopped in the middle of replacing texts: the manifest has the new ones, the files may be either.
            texts[name] = manifest.incoming[name]
            continue
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            raise Refused(f"{file} is missing", "Copy the run again from where it is whole.") from None
        if sha256(content).hexdigest() != digest and not (trust_code and name.endswith(".py")):
            raise _edited(file)
        try:
            texts[name] = content.decode()
        except UnicodeDecodeError:
            raise _edited(file) from None
    return Run(path, manifest, texts)


def replace_texts(run: Run, manifest: Manifest, texts: Mapping[str, str]) -> Run:
    """Lay other texts into a run. A crash in between is mended by the next `finish_texts`."""
    changed = {name: text for name, text in texts.items() if run.texts.get(name) != text}
    hashes = {name: text_hash(text) for name, text in {**run.texts, **changed}.items()}
    staged = replace(manifest, texts=hashes, incoming=changed or None)
    write_manifest(run.path, staged)
    return finish_texts(Run(run.path, staged, {**run.texts, **changed}))


def finish_texts(run: Run) -> Run:
    """Write the texts that an interrupted session announced in the manifest."""
    if not run.manifest.incoming:
        return run
    for name, text in run.manifest.incoming.items():
        replace_file(run.path / name, text.encode())
    manifest = replace(run.manifest, incoming=None)
    write_manifest(run.path, manifest)
    return replace(run, manifest=manifest)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the run for one process. The system lets go when the process ends, however it ends."""
    file = open_own(path / LOCK)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"{path} is being trained by another process", "Wait for it, stop it, or train into another directory."
            ) from None
        except OSError as error:
            raise Refused(
                f"{path} cannot be locked: {error.strerror}",
                "Train on a file system that has locks, such as a local one.",
            ) from None
        yield
    finally:
        os.close(file)


def data_bases(path: Path, base: Path) -> tuple[str, str]:
    """The folder of the data, absolute and as seen from the run."""
    base = base.resolve()
    return str(base), os.path.relpath(base, path.resolve())


def find_data_base(run: Run) -> Path:
    """Where the data is: where it was, or at the same place as seen from the run, where that moved with it."""
    absolute, relative = run.manifest.data_base
    candidates = (Path(absolute), (run.path / relative).resolve())
    return next((path for path in candidates if path.is_dir()), candidates[0])


def text_hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _exists(path: Path) -> Refused:
    return Refused(
        f"{path} exists already, and a run is never overwritten",
        f"Give another directory, or go on with this one: `dlspec resume {path}`.",
    )


def _edited(file: Path) -> Refused:
    if file.suffix == ".py":
        return Refused(
            f"{file} was edited: it is no longer the code that was trained",
            "It is a copy to read and never runs. Put it back, or say --trust-run-code to run the copy as it is now.",
        )
    return Refused(
        f"{file} is damaged or was edited: it is not what was written",
        "Copy the run again from where it is whole, or train anew from the spec.",
    )
