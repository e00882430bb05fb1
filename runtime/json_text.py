"""JSON that others wrote."""

from __future__ import annotations

import json
import sys
from typing import Any


class UnreadableJson(Exception):
    """What is said of a text that cannot be read, to stand behind its name: "is no JSON: ..."."""


def decode_json(text: str, *, constants: bool = True) -> Any:
    """What a text says; None for NaN and Infinity where no `constants` are wanted. Raises UnreadableJson."""
    others: dict[str, Any] = {} if constants else {"parse_constant": lambda word: None}
    try:
        return json.loads(text, **others)
    except json.JSONDecodeError as error:
        raise UnreadableJson(f"is no JSON: {error}") from None
    except ValueError:  # Python makes no whole number of so many digits
        most = sys.get_int_max_str_digits()
        raise UnreadableJson(f"holds a whole number of more than {most:,} digits") from None
    except RecursionError:
        raise UnreadableJson("has too many brackets inside brackets") from None
