"""`--tiles FILE`: tiles that `dlspec bench --tune` has found."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def add_tiles_argument(parser: ArgumentParser) -> None:
    help = "tiles for the kernels, as bench finds them"
    parser.add_argument("--tiles", metavar="FILE", type=Path, help=help)


def tiles_of(options: Namespace) -> Mapping[str, Any]:
    """The tables; none where the option was not given. Raises Refused."""
    from ..api.tiles import read_tiles

    return {} if options.tiles is None else read_tiles(options.tiles)
