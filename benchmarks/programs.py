"""The specs of the zoo as programs, and data made for them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from dlspec.compiler.pipeline import Artefact, compile
from dlspec.grammar import Source
from dlspec.runtime import Program

SPECS = Path(__file__).resolve().parent.parent / "specs"


def compile_spec(name: str, *overrides: str) -> Artefact:
    """`specs/<name>.dlspec` with each `name=value` put in, as `--set` does."""
    return compile(Source(f"{name}.dlspec", (SPECS / f"{name}.dlspec").read_text(encoding="utf-8")), overrides)


def program_of(artefact: Artefact) -> Program:
    assert artefact.recipe_code is not None and artefact.settings is not None
    return Program(artefact.name, artefact.model_code, artefact.recipe_code, artefact.settings, artefact.imported)


def write_text(path: Path, characters: int) -> None:
    """A text of 65 different characters in which each has a few that like to follow it."""
    alphabet = "".join(map(chr, range(32, 97)))
    path.write_text("".join(alphabet[i] for i in _walk(len(alphabet), characters)), encoding="ascii")


def write_tokens(path: Path, vocabulary: int, count: int) -> None:
    """Tokens as nanoGPT keeps them, uint16 in a row, in which each has a few that like to follow it."""
    _walk(vocabulary, count).astype("<u2").tofile(path)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Bytes in the format of MNIST, compressed."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()))


def read_idx(path: Path) -> np.ndarray:
    """The array of bytes in such a file."""
    content = gzip.decompress(path.read_bytes())
    axes = content[3]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(
        struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    )


def _walk(symbols: int, count: int) -> np.ndarray:
    """0..symbols - 1, each at least once at the beginning; then three of four times one of four followers."""
    random = np.random.default_rng(0)
    followers = random.integers(symbols, size=(symbols, 4))
    choices, jumps = random.integers(4, size=count), random.integers(symbols, size=count)
    jumping = random.random(count) < 0.25
    walk = np.arange(count) % symbols
    for i in range(min(symbols, count), count):
        walk[i] = jumps[i] if jumping[i] else followers[walk[i - 1], choices[i]]
    return walk
