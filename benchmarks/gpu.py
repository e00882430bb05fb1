"""Training on one GPU: dlspec against the twin written by hand, resuming, and the course of the loss on the CPU.

    python benchmarks/gpu.py --out found.json [--minutes 4] [--only attention] [--device cuda|cpu] [--quick]

A section that fails is told and the next one begins; the file is written after each, so that it holds what was found
until then. The exit code is 1 where a section failed, or found what must be equal not to be.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from gpu_sections import SECTIONS, Stage
from record import machine, versions


@dataclass
class Report:
    """What was found so far, in a file that is always whole."""

    path: Path
    deadline: float
    found: dict[str, Any] = field(default_factory=dict)

    def run(self, name: str, work: Callable[[Stage], dict[str, Any]], stage: Stage) -> None:
        if time.monotonic() > self.deadline:
            self._keep(name, {"skipped": "the time was up"})
            return
        begun = time.monotonic()
        with TemporaryDirectory() as folder:
            try:
                found = work(stage.within(Path(folder)))
            except Exception as error:
                # What failed and where, without the folders of this machine.
                text = f"{type(error).__name__}: {error}".replace(folder, "...")
                last = traceback.extract_tb(error.__traceback__)[-1]
                found = {"failed": text, "at": f"{Path(last.filename).name}:{last.lineno}"}
        gc.collect()
        if stage.device.type == "cuda":
            torch.cuda.empty_cache()
        self._keep(name, {**found, "took_seconds": round(time.monotonic() - begun, 1)})

    @property
    def good(self) -> bool:
        return not any("failed" in one or one.get("equal") is False for one in self.found["sections"].values())

    def _keep(self, name: str, found: dict[str, Any]) -> None:
        self.found.setdefault("sections", {})[name] = found
        print(f"{name}: {json.dumps(found)}", flush=True)
        self.path.write_text(json.dumps(self.found, indent=2) + "\n", encoding="utf-8")


def accelerator(device: torch.device) -> str | None:
    return f"one {torch.cuda.get_device_name(device).removeprefix('NVIDIA ')}" if device.type == "cuda" else None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--minutes", type=float, default=4, help="no section begins later (default: 4)")
    parser.add_argument("--only", default="", metavar="TEXT", help="the sections with this in their names")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu: to see that it works")
    parser.add_argument("--quick", action="store_true", help="tiny models and few updates, to see that it works")
    asked = parser.parse_args(arguments)
    device = torch.device(asked.device)
    sections = {name: work for name, work in SECTIONS.items() if asked.only in name}
    if not sections:
        parser.error(f"no section has {asked.only!r} in its name; there are: {'; '.join(SECTIONS)}")
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU here: --device cpu --quick shows whether the script works")
    if asked.quick:
        torch.set_num_threads(1)
    report = Report(asked.out, time.monotonic() + 60 * asked.minutes)
    report.found["machine"] = machine(accelerator(device))
    report.found["versions"] = {**versions("torch"), **({"cuda": torch.version.cuda} if torch.version.cuda else {})}
    report.found["quick"] = asked.quick
    for name, work in sections.items():
        report.run(name, work, Stage(device, asked.quick))
    print("all sections are good" if report.good else "not good: see what failed or is not equal", flush=True)
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
