"""What verbs that use a run directory share."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from .console import Console
from .python_argument import add_python_argument

if TYPE_CHECKING:
    from ..api.trained import Trained


def add_run_arguments(parser: ArgumentParser) -> None:
    """RUN, and the way to run edited copies of its code."""
    parser.add_argument("run", metavar="RUN", type=Path, help="a run directory")
    add_trust_argument(parser)


def add_trust_argument(parser: ArgumentParser) -> None:
    """The words that let code of the run be run: its own copies, and layers written in Python."""
    help = "run the code in the run directory as it is now, also where it was edited"
    parser.add_argument("--trust-run-code", action="store_true", help=help)
    add_python_argument(parser)


def open_told(path: Path, options: Namespace, console: Console) -> Trained:
    """The run at `path`; that its own copy of the code is run is told. Raises Refused."""
    from ..api.trained import open_run

    trained = open_run(path, trust_code=options.trust_run_code, allow_python=options.allow_python)
    if trained.trusted:
        console.note(f"the code that runs is the copy in {path}, as it is now")
    return trained
