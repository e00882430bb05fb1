"""The word of a user that the Python of a spec may be run."""

from __future__ import annotations

from argparse import ArgumentParser


def add_python_argument(parser: ArgumentParser) -> None:
    """For verbs that have to know what a layer written in Python gives."""
    help = "run the files of Python that the spec imports, which may do anything that you may do"
    parser.add_argument("--allow-python", action="store_true", help=help)
