"""Recordings out of folders: what is heard, at which rate, and which file is wrong."""

from __future__ import annotations

import json
import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dlspec.cli.main import main
from dlspec.runtime.data import Data, DataError, open_data
from dlspec.runtime.data.resampling import resampled
from dlspec.runtime.data.wav import EXTENSIBLE, FLOAT, PCM, UnreadableRecording, decode_wav

RAMP = np.array([0, 1, -1, 100, -128, 127])


def write_wav(path: Path, samples: NDArray, rate: int = 8, bits: int = 16) -> None:
    """[count, channels] of whole numbers, by Python's own writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = (samples + 128 if bits == 8 else samples).astype("<i4").reshape(len(samples), -1)
    content = whole.view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()
    with wave.open(str(path), "wb") as out:
        out.setnchannels(whole.shape[1])
        out.setsampwidth(bits // 8)
        out.setframerate(rate)
        out.writeframes(content)


def riff(kind: int, bits: int, body: bytes, *, channels: int = 1, rate: int = 8, more: bytes = b"") -> bytes:
    form = struct.pack("<HHIIHH", kind, channels, rate, 0, 0, bits) + more
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def audio(base: Path, **options: Any) -> Data:
    settings = {"folder": "a/", "seconds": 1, "rate": 8, "split": [1.0, 0.0], **options}
    settings = {name: value for name, value in settings.items() if value is not None}
    return open_data({"source": "audio", "options": settings}, base=base, seed=0)


def heard(data: Data) -> dict[int, list[float]]:
    batch = data.train.batch(0, torch.arange(len(data.train)))
    return {int(label): one[:, 0].tolist() for label, one in zip(batch["label"], batch["audio"], strict=True)}


# --- files


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
def test_whole_numbers_as_python_writes_them(tmp_path: Path, bits: int, channels: int) -> None:
    scale = 1 << (bits - 8)
    samples = np.stack([RAMP * scale] * channels, 1) + (np.arange(channels) if bits > 8 else 0)
    write_wav(tmp_path / "a.wav", samples.clip(-128 * scale, 127 * scale), 44_100, bits)
    rate, found = decode_wav((tmp_path / "a.wav").read_bytes())
    assert rate == 44_100 and found.dtype == np.float32
    assert np.array_equal(found, (samples.clip(-128 * scale, 127 * scale) / (128 * scale)).astype(np.float32))


def test_floats_and_the_extensible_form() -> None:
    numbers = np.array([0.5, -1, 0.25], np.float64)
    for bits in (32, 64):
        rate, found = decode_wav(riff(FLOAT, bits, numbers.astype(f"<f{bits // 8}").tobytes()))
        assert rate == 8 and found[:, 0].tolist() == numbers.tolist()
    guid = struct.pack("<HHIH", 22, 16, 0, PCM) + bytes(14)
    assert decode_wav(riff(EXTENSIBLE, 16, b"\0\x40", more=guid))[1].tolist() == [[0.5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ID3", "it is no .wav"),
        (riff(PCM, 16, b"\0\0\0\0")[:-2], "it is cut off: it says 4 bytes of samples, and 2 are there"),
        (riff(PCM, 16, b"\0\0")[:30], "it is cut off: it holds no samples"),
        (riff(17, 4, b"\0\0"), "its samples are of kind 17 with 4 bits, and not PCM or floats"),
        (riff(FLOAT, 32, struct.pack("<f", np.nan)), "it holds samples that are not finite"),
        (riff(PCM, 16, b"\0\0", channels=0), "it says 0 channels"),
    ],
)
def test_what_is_no_recording(content: bytes, message: str) -> None:
    with pytest.raises(UnreadableRecording) as raised:
        decode_wav(content)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(("rate", "wanted"), [(44_100, 16_000), (8_000, 16_000), (16_000, 8_000), (48_000, 16_000)])
def test_a_tone_stays_that_tone_at_another_rate(rate: int, wanted: int) -> None:
    """And one that the new rate cannot hold is gone."""
    seconds, tone = 0.5, 440.0
    low = np.sin(2 * np.pi * tone * np.arange(int(rate * seconds)) / rate).astype(np.float32)
    found = resampled(low, rate, wanted)
    assert len(found) == wanted * seconds
    wished = np.sin(2 * np.pi * tone * np.arange(len(found)) / wanted)
    inside = slice(100, -100)
    assert np.abs(found - wished)[inside].max() < 2e-3
    if rate > wanted:
        high = np.sin(2 * np.pi * (0.4 * rate) * np.arange(len(low)) / rate).astype(np.float32)
        assert np.abs(resampled(high, rate, wanted))[inside].max() < 2e-2


# --- folders


def test_recordings_of_folders(tmp_path: Path) -> None:
    """Two channels become one, what is short is filled with silence, what is long is cut."""
    write_wav(tmp_path / "a/no/1.wav", np.stack([RAMP, RAMP * 0], 1) * 256)
    write_wav(tmp_path / "a/yes/1.wav", np.tile(RAMP, 2) * 256)
    data = audio(tmp_path)
    half = (RAMP / 256).tolist()
    assert heard(data) == {0: [*half, 0, 0], 1: [*(RAMP / 128).tolist(), *(RAMP[:2] / 128).tolist()]}
    assert (data.fields["audio"].dims, data.fields["label"].names) == ((8, 1), ("no", "yes"))
    assert sorted(data.fingerprint) == ["a/no", "a/yes"]
    before = data.fingerprint["a/no"]["sha256"]
    write_wav(tmp_path / "a/no/1.wav", RAMP)
    assert audio(tmp_path).fingerprint["a/no"]["sha256"] != before


def test_parts(tmp_path: Path) -> None:
    for number in range(10):
        write_wav(tmp_path / f"a/no/{number}.wav", RAMP * number)
        write_wav(tmp_path / f"a/yes/{number}.wav", -RAMP * number)
    write_wav(tmp_path / "v/yes/1.wav", RAMP)
    data = audio(tmp_path, split=[0.8, 0.2])
    assert data.validation is not None and (len(data.train), len(data.validation)) == (16, 4)
    ids = torch.tensor([3, 3, 0])
    one, two = (data.train.batch(epoch, ids)["audio"] for epoch in (0, 5))
    assert torch.equal(one, two) and torch.equal(one[0], one[1])
    other = audio(tmp_path, split=None, validation="v").validation
    assert other is not None and other.batch(0, torch.tensor([0]))["label"].tolist() == [1]


@pytest.mark.parametrize(
    ("path", "content", "options", "message"),
    [
        ("a/no/2.wav", b"RIFF", {}, "a/no/2.wav cannot be read: it is no .wav: it does not begin with RIFF and WAVE"),
        ("a/no/2.wav", riff(PCM, 16, b""), {}, "a/no/2.wav holds no sample"),
        (
            "a/no/2.wav",
            riff(PCM, 16, bytes(8), rate=768_001),
            {},
            "a/no/2.wav says that it has 768,001 samples a second: its header is damaged, or it is no sound",
        ),
        (
            "a/no/2.wav",
            riff(PCM, 16, bytes(8), rate=2**32 - 1),
            {},
            "a/no/2.wav says that it has 4,294,967,295 samples a second: its header is damaged, or it is no sound",
        ),
        ("a/no/2.flac", b"fLaC", {}, "a/no/2.flac is no recording: those end in .wav"),
        ("a/2.wav", b"", {}, "a/2.wav lies beside the folders of classes, in none of them"),
        ("b/x", b"", {"classes": 3}, "`classes` is 3, and a has 2 folders: no, yes"),
        ("b/x", b"", {"folder": "c"}, "there is no folder c"),
        (
            "v/maybe/1.wav",
            b"",
            {"split": None, "validation": "v"},
            "v has a folder maybe, and a has no class of that name",
        ),
    ],
)
def test_what_is_wrong_names_its_file(
    tmp_path: Path, path: str, content: bytes, options: dict[str, Any], message: str
) -> None:
    for name in ("no", "yes"):
        write_wav(tmp_path / f"a/{name}/1.wav", RAMP)
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_bytes(content)
    with pytest.raises(DataError) as raised:
        audio(tmp_path, **options)
    assert raised.value.message == message


def test_the_highest_rate_is_heard(tmp_path: Path) -> None:
    for name in ("no", "yes"):
        path = tmp_path / f"a/{name}/1.wav"
        path.parent.mkdir(parents=True)
        path.write_bytes(riff(PCM, 16, bytes(2 * 96_000), rate=768_000))
    data = audio(tmp_path)
    assert heard(data) == {0: [0.0] * 8, 1: [0.0] * 8}
    path.write_bytes(riff(PCM, 16, bytes(8), rate=768_001))
    with pytest.raises(DataError) as raised:
        audio(tmp_path)
    assert raised.value.help == "write it anew, with at most 768,000"


# --- a model that hears

SPEC = """dlspec 1
model Ear: (audio: [B, T, 1]) -> (logits: [B, 2]) {
  permute([0, 2, 1]) -> Conv1d(8, 9, stride = 4) -> relu
  Conv1d(16, 9, stride = 4) -> relu
  mean(over = T)
  Linear(2)
}
train Ear {
  data      = audio("tones", seconds = 0.25, rate = 2_000, classes = 2)
  loss      = cross_entropy(logits, data.label)
  metrics   = [accuracy(logits, data.label)]
  optimizer = Adam(lr = 1e-2)
  epochs    = 15
  batch     = 16
}
"""


@pytest.mark.slow
def test_high_and_low_tones_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trained on recordings at another rate, resumed bit for bit, exported with proof."""
    (tmp_path / "ear.dlspec").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    time = np.arange(4_000) / 8_000
    for number in range(40):
        for name, tone in (("low", 100 + 2 * number), ("high", 400 + 4 * number)):
            samples = 12_000 * np.sin(2 * np.pi * tone * time + number)
            write_wav(tmp_path / f"tones/{name}/{number}.wav", samples.astype(int), 8_000)
    assert main(["train", "ear.dlspec", "--run", "run", "--quiet"]) == 0
    last = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert last["split"] == "validation" and last["accuracy"] == 1.0
    assert main(["verify-resume", "ear.dlspec", "--steps", "6"]) == 0
    assert main(["export", "run", "-o", "models", "--to", "onnx"]) == 0
    assert "proved at" in capsys.readouterr().out
