"""The verbs of the command line with what each takes, as its parser is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from dlspec.cli.command_line import load_verb
from dlspec.cli.main import VERBS

from .markdown import entry, table


class _Recorder:
    """Stands where argparse's parser does: what a parser prints of itself differs from one Python to the next."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def add_argument(self, *names: str, **options: Any) -> None:
        self.rows.append((f"`{_written(names, options)}`", options.get("help", "").replace("<", r"\<")))

    def add_argument_group(self, *names: str, **options: Any) -> _Recorder:
        return self

    def set_defaults(self, **defaults: Any) -> None:
        """What nobody writes has no row."""

    def add_mutually_exclusive_group(self, **options: Any) -> _Recorder:
        return self


def verbs(names: Sequence[str]) -> str:
    return "\n\n".join(_entry(name, summary) for name, summary in VERBS.items())


def _entry(name: str, summary: str) -> str:
    recorder = _Recorder()
    load_verb(name, VERBS).add_arguments(cast(Any, recorder))
    rows = recorder.rows
    text = f"{summary[0].upper()}{summary[1:]}."
    return entry(f"dlspec {name}", text, table(("takes", "which is"), rows) if rows else "", level=2)


def _written(names: tuple[str, ...], options: dict[str, Any]) -> str:
    flag = ", ".join(names) if names[0].startswith("-") else ""
    choices = options.get("choices")
    value = options.get("metavar") or ("|".join(map(str, choices)) if choices else names[-1].strip("-").upper())
    if options.get("action") in ("store_true", "store_false"):
        value = ""
    many = options.get("nargs")
    value = {"+": f"{value}...", "*": f"[{value}...]", "?": f"[{value}]"}.get(str(many), value)
    return " ".join(filter(None, [flag, value]))
