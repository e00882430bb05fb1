"""What a resumed run may change, and what it cannot keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import Refused
from .settings import Settings


def data_differences(then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What of the data is no longer what the run was begun with, file by file."""
    lines = []
    for name in sorted({*then, *now}):
        if name not in now:
            lines.append(f"{name} is gone")
        elif name not in then:
            lines.append(f"{name} is new")
        elif then[name] != now[name]:
            sizes = f"{then[name]['size']:,} bytes then, {now[name]['size']:,} now"
            lines.append(f"{name} was changed ({sizes})")
    return lines


def require_same_data(then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises Refused where there are differences."""
    lines = data_differences(then, now)
    if lines:
        raise Refused(
            f"the data is not what the run was begun with: {'; '.join(lines)}",
            "Put the data back, or train a new run on what it is now.",
        )


def require_same_start(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> None:
    """Raises Refused where a run that has no checkpoint yet would begin with other weights than it did."""
    if then is not None and now is not None and then["files"] != now["files"]:
        raise Refused(
            f"{now['source']} is not what the run was begun with: its sha256 is another",
            "Put the file back, or train a new run.",
        )


def require_same_course(state: Mapping[str, Any], options: Settings) -> None:
    """Raises Refused where the changed spec gives another order of examples, in whose middle there is no going on."""
    now = {"seed": options.seed, "batch": options.batch, "data": options.data}
    changed = [key for key, value in now.items() if state[key] != value]
    if not changed:
        return
    told = [key if key == "data" else f"{key} ({state[key]} then, {now[key]} now)" for key in changed]
    raise Refused(
        f"a run cannot go on with another {' and '.join(told)}: the order of its examples would be another",
        f"Leave {' and '.join(changed)} as it was, or train a new run.",
    )


def require_steps_left(step: int, steps: int) -> None:
    """Raises Refused where a changed spec ends before the run has come to."""
    if step > steps:
        raise Refused(
            f"the run is at step {step} already, and the changed spec ends at {steps}",
            "Ask for more steps, or go on from an earlier checkpoint with `--checkpoint STEP`.",
        )
