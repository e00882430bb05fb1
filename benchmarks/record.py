"""What a benchmark found, for the screen and for results/: figures with their spread, and what they were found on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from dlspec import __version__

RESULTS = Path(__file__).resolve().parent / "results"


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(values), 4), "min": round(min(values), 4), "max": round(max(values), 4)}


def told(found: Mapping[str, float], digits: int = 3) -> str:
    """ "0.991 (0.975 to 1.020)" """
    return f"{found['median']:.{digits}f} ({found['min']:.{digits}f} to {found['max']:.{digits}f})"


def machine(accelerator: str | None = None) -> str:
    """The kind of machine, and nothing that tells which."""
    return accelerator or f"{os.cpu_count()} CPU cores"


def versions(*packages: str) -> dict[str, str]:
    found = {name: version(name) for name in packages}
    return {"python": platform.python_version(), "dlspec": __version__, **found}


@contextmanager
def others_share() -> Iterator[dict[str, float]]:
    """Fills `others`: the part of the machine's cores that other processes had meanwhile (where /proc tells)."""
    found: dict[str, float] = {}
    before, own = _busy_seconds(), _own_seconds()
    yield found
    after = _busy_seconds()
    if before and after and after[1] > before[1]:
        busy = after[0] - before[0] - (_own_seconds() - own)
        found["others"] = round(max(0.0, busy / (after[1] - before[1])), 3)


def record(benchmark: str, found: Mapping[str, Any]) -> Path:
    """Append to `results/<benchmark>.json`, a list of what was found when."""
    path = RESULTS / f"{benchmark}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    RESULTS.mkdir(exist_ok=True)
    kept.append({"date": datetime.now(UTC).date().isoformat(), **found})
    path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return path


def _busy_seconds() -> tuple[float, float] | None:
    """Busy and all seconds of all cores since the machine started."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, idle, wait, irq, soft, steal = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields)
    busy = user + nice + system + irq + soft + steal
    return busy, busy + idle + wait


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
