"""What `bench` found, as the rows of tables and as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .units import bytes_text, count_text

if TYPE_CHECKING:
    from ..api.bench import Emission
    from ..runtime.bench.kernels import Measured, Pass, UseMeasured
    from ..runtime.bench.step import Step
    from ..runtime.bench.tune import Tuned
    from ..runtime.bench.use import Use

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


# --- kernels --------------------------------------------------------------------------------------------------------


def kernel_rows(found: Iterable[UseMeasured]) -> list[dict[str, str]]:
    """A row for each way to compute each use; what the use is stands in its first."""
    return _filled([row for one in found for row in _use_rows(one)])


def _use_rows(one: UseMeasured) -> Iterator[dict[str, str]]:
    head = [one.use.name, *_where(one.use.where), _sizes(one)]
    for index in range(max(len(head), len(one.ways))):
        way = one.ways[index] if index < len(one.ways) else None
        yield {
            "kernel": ("" if index == 0 else "  ") + head[index] if index < len(head) else "",
            "by": "" if way is None else way.name,
            "forward": "" if way is None else _pass_text(way.forward, one.unit),
            "backward": "" if way is None else _pass_text(way.backward, one.unit),
            "both": "" if way is None else _pass_text(way.both, one.unit),
            "memory": "" if way is None or way.peak is None else bytes_text(way.peak),
            "": "" if way is None else way.failed,
        }


def _pass_text(found: Pass | None, unit: str) -> str:
    return "" if found is None else f"{_milliseconds(found.seconds)}  {_figure(found.speed):>6} {unit}"


def _sizes(one: UseMeasured) -> str:
    """The first tensor that comes in: `[12, 1024, 12, 64] bfloat16`."""
    first = next(iter(one.use.tensors.values()))
    return f"{list(first.shape)} {str(first.dtype).removeprefix('torch.')}"


def _where(names: Sequence[str]) -> list[str]:
    """Modules that differ in one number by its range, once each: `blocks.0-11.attn`."""
    groups: dict[str, list[int]] = {}
    for name in dict.fromkeys(names):
        numbers = _NUMBER.findall(name)
        pattern = _NUMBER.sub("{}", name, count=1) if numbers else name
        groups.setdefault(pattern, []).append(int(numbers[0]) if numbers else 0)
    return [pattern.replace("{}", ",".join(_ranges(sorted(found)))) for pattern, found in groups.items()]


def _ranges(numbers: list[int]) -> Iterator[str]:
    first = last = numbers[0]
    for number in [*numbers[1:], -1]:
        if number == last + 1:
            last = number
            continue
        yield f"{first}" if first == last else f"{first}-{last}"
        first = last = number


def kernel_json(one: UseMeasured) -> dict[str, Any]:
    tensors = one.use.tensors.items()
    return {
        "name": one.use.name,
        "kind": one.use.entry.kind,
        "modules": list(one.use.where),
        "inputs": {name: {"dtype": str(t.dtype).removeprefix("torch."), "shape": list(t.shape)} for name, t in tensors},
        "unit": one.unit,
        "fused": one.fused,
        "ways": [_way_json(way) for way in one.ways],
    }


def _way_json(way: Measured) -> dict[str, Any]:
    def told(found: Pass | None) -> dict[str, float] | None:
        return None if found is None else {"seconds": found.seconds, "speed": found.speed}

    failed = {"failed": way.failed} if way.failed else {}
    return {
        "by": way.name,
        "forward": told(way.forward),
        "backward": told(way.backward),
        "both": told(way.both),
        "peak_bytes": way.peak,
        **failed,
    }


# --- tiles ---


def tuned_rows(found: Iterable[tuple[Use, list[Tuned]]]) -> list[dict[str, str]]:
    """A row for each table that was tried."""
    return [
        {
            "kernel": use.name if index == 0 else "",
            "table": one.table,
            "tiles": str(list(one.after)) if one.after == one.before else f"{list(one.before)} -> {list(one.after)}",
            "before": _milliseconds(one.seconds[0]),
            "after": _milliseconds(one.seconds[1]),
            "": f"{one.tried} tried" + (f", {one.failed} did not run" if one.failed else ""),
        }
        for use, tuned in found
        for index, one in enumerate(tuned)
    ]


def tuned_json(found: Iterable[tuple[Use, list[Tuned]]]) -> list[dict[str, Any]]:
    return [
        {
            "kernel": use.name,
            "table": one.table,
            "keys": list(one.keys),
            "before": {"tiles": list(one.before), "seconds": one.seconds[0]},
            "after": {"tiles": list(one.after), "seconds": one.seconds[1]},
            "tried": one.tried,
            "failed": one.failed,
        }
        for use, tuned in found
        for one in tuned
    ]


# --- whole steps ----------------------------------------------------------------------------------------------------


def step_rows(found: Iterable[Emission], unit: str) -> list[dict[str, str]]:
    rows = [
        {
            "kernels": one.kernels,
            "model": "torch.compile" if one.compiled else "as it is",
            **_step_cells(one.step, unit),
            "": one.failed,
        }
        for one in found
    ]
    return _filled(rows)


def _step_cells(step: Step | None, unit: str) -> dict[str, str]:
    if step is None:
        return {"step": "", unit: "", "MFU": "", "memory": ""}
    return {
        "step": _milliseconds(step.seconds),
        unit: f"{count_text(round(step.per_second))}/s",
        "MFU": "" if step.mfu is None else f"{step.mfu:.1%}",
        "memory": "" if step.peak is None else bytes_text(step.peak),
    }


def step_json(one: Emission, unit: str) -> dict[str, Any]:
    """Figures that there are not are left out where it failed."""
    told: dict[str, Any] = {"kernels": one.kernels, "compiled": one.compiled}
    if one.step is None:
        return {**told, "failed": one.failed}
    return {
        **told,
        "seconds": one.step.seconds,
        "updates": one.step.updates,
        f"{unit}_per_second": one.step.per_second,
        "mfu": one.step.mfu,
        "peak_bytes": one.step.peak,
    }


def _filled(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Without the columns in which no row has anything."""
    empty = {key for key in rows[0] if not any(row[key] for row in rows)} if rows else set()
    return [{key: value for key, value in row.items() if key not in empty} for row in rows]


def _milliseconds(seconds: float) -> str:
    return f"{_figure(1e3 * seconds)} ms"


def _figure(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.3g}"
