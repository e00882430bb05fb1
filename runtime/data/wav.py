"""Recordings in .wav files (RIFF): PCM of 8 to 32 bits, and floats.

Not by `wave`, which knows neither floats nor, before Python 3.12, the extensible form that many programs write.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


class UnreadableRecording(Exception):
    """Why bytes are no recording that can be read."""


def decode_wav(content: bytes) -> tuple[int, NDArray[np.float32]]:
    """Samples a second, and samples [count, channels] from -1 to 1. Raises UnreadableRecording."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise UnreadableRecording("it is no .wav: it does not begin with RIFF and WAVE")
    form: bytes | None = None
    place = 12
    while place + 8 <= len(content):
        name, size = content[place : place + 4], struct.unpack_from("<I", content, place + 4)[0]
        body = content[place + 8 : place + 8 + size]
        if name == b"data":
            if form is None:
                raise UnreadableRecording("its samples come before their form")
            if len(body) < size:
                raise UnreadableRecording(
                    f"it is cut off: it says {size:,} bytes of samples, and {len(body):,} are there"
                )
            return _samples(form, body)
        if name == b"fmt ":
            form = body
        place += 8 + size + size % 2  # chunks begin at even places
    raise UnreadableRecording("it is cut off: it holds no samples")


def _samples(form: bytes, body: bytes) -> tuple[int, NDArray[np.float32]]:
    if len(form) < 16:
        raise UnreadableRecording("its form is cut off")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if kind == EXTENSIBLE and len(form) >= 26:
        kind = struct.unpack_from("<H", form, 24)[0]
    if not channels or not rate:
        raise UnreadableRecording(f"it says {channels} channels and {rate} samples a second")
    width = (bits + 7) // 8
    body = body[: len(body) // (width * channels or 1) * width * channels]
    if kind == FLOAT and bits in (32, 64):
        samples = np.frombuffer(body, f"<f{width}").astype(np.float32)
        if not np.isfinite(samples).all():
            raise UnreadableRecording("it holds samples that are not finite")
    elif kind == PCM and bits == 8:
        samples = (np.frombuffer(body, np.uint8).astype(np.float32) - 128) / 128
    elif kind == PCM and bits in (16, 32):
        samples = np.frombuffer(body, f"<i{width}") / np.float32(1 << (bits - 1))
    elif kind == PCM and bits == 24:
        # The three bytes become the upper ones of four.
        wide = np.zeros((len(body) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
        samples = wide.reshape(-1).view("<i4") / np.float32(1 << 31)
    else:
        raise UnreadableRecording(f"its samples are of kind {kind} with {bits} bits, and not PCM or floats")
    return rate, samples.astype(np.float32).reshape(-1, channels)
