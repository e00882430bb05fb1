"""`dlspec runs`: the run directories in a folder, and how far they are. Loads no framework."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from .command_line import refuse_set
from .console import Console, table

TAIL = 65_536


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs"), metavar="DIR", help="the folder (runs)")


def run(options: Namespace, console: Console) -> int:
    refuse_set(options, "runs lists what is there")
    found = [_facts(path.parent) for path in sorted(options.folder.glob("*/manifest.json"))]
    console.document(runs=found)
    if not found:
        console.say(f"no runs in {options.folder}")
        return 0
    rows = [{key: _shown(value) for key, value in facts.items()} for facts in found]
    console.print(table(rows, right=frozenset({"step", "loss", "validation"})))
    return 0


def _facts(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"run": str(path), "recipe": None, "step": None, "loss": None, "validation": None}
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
        facts["recipe"] = manifest["recipe"]
        finished = manifest["finished"]
    except (OSError, ValueError, TypeError, KeyError):
        return {**facts, "state": "damaged"}
    for record in _last_records(path / "metrics.jsonl"):
        facts["step"] = record.get("step", facts["step"])
        key = "loss" if record.get("split") == "train" else "validation"
        loss = _loss(record)
        facts[key] = facts[key] if loss is None else loss
    if finished:
        return {**facts, "step": finished["step"], "state": "finished"}
    return {**facts, "state": "training" if _is_held(path / "lock") else "stopped"}


def _loss(record: dict[str, Any]) -> dict[str, Any] | float | None:
    """The loss of a record, or those of its phases by their names."""
    if "loss" in record:
        return record["loss"]
    ending = "_loss"
    return {name.removesuffix(ending): value for name, value in record.items() if name.endswith(ending)} or None


def _last_records(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            lines = file.read().splitlines()
    except OSError:
        return []
    records = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # cut in the middle
        if isinstance(record, dict):
            records.append(record)
    return records


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock of a run."""
    import fcntl

    try:
        number = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(number)
    return False


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    return f"{value:.4f}" if isinstance(value, float) else str(value)
