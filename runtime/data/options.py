"""Options of a data source, read with a message for each that is missing or makes no sense.

A spec is checked before it comes here; a resolved.json edited by hand is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .faults import DataError

Options = Mapping[str, Any]


def whole_number(options: Options, name: str, *, least: int = 1, default: int | None = None) -> int:
    value = options.get(name, default)
    if value is None:
        raise DataError(f"the data has no `{name}`", f"write {name} = a whole number of at least {least}")
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DataError(f"`{name}` is {value!r}", f"write a whole number of at least {least}")
    return value


def word(options: Options, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
    value = options.get(name, default)
    if value not in choices:
        what = "the data has no" if value is None else f"{value!r} is no"
        raise DataError(f"{what} `{name}`", f"write one of: {', '.join(choices)}")
    return value


def path(options: Options, name: str) -> str:
    value = options.get(name)
    if not isinstance(value, str) or not value:
        raise DataError(f"the data has no `{name}`", f'write {name} = "path", relative to the spec file')
    return value


def split(options: Options, default: tuple[float, float] = (0.9, 0.1)) -> tuple[float, float]:
    value = options.get("split") or default
    try:
        train, validation = (float(part) for part in value)
    except (TypeError, ValueError):
        raise DataError(f"`split` is {value!r}", "write two parts of the whole: split = [0.9, 0.1]") from None
    if not (0 < train <= 1 and 0 <= validation <= 1 and train + validation <= 1 + 1e-9):
        raise DataError(f"`split` is {value!r}", "write two parts that come to 1 at most: split = [0.9, 0.1]")
    return train, validation
