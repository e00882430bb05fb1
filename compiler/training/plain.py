"""Options as plain JSON values, as settings hold them."""

from __future__ import annotations

from typing import Any

from ..semantics.evaluate import is_number
from ..semantics.number import is_whole, real, whole
from .base import Options


def plain_options(options: Options) -> dict[str, Any]:
    """Every option by its name, less those that are None."""
    values = {name: _plain(getattr(options, name)) for name in options.options}
    return {name: value for name, value in values.items() if value is not None}


def _plain(value: object) -> Any:
    """What is neither a number, text nor list of such knows itself how it is written."""
    if is_number(value):
        return whole(value) if is_whole(value) else real(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.as_json() if hasattr(value, "as_json") else value  # type: ignore[attr-defined]
