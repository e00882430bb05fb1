"""Text and tokens: what is cut where, and that every token is asked for as often as it has to be."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlspec.runtime.data import Data, DataError, open_data
from dlspec.runtime.data.windows import TrainingWindows, ValidationWindows
from dlspec.runtime.text import train_subwords

SHAKESPEARE = Path(__file__).resolve().parents[2] / "shared" / "data" / "tinyshakespeare.txt"
TEXT = "".join(f"line {n} says {n * n}\n" for n in range(300))


def text(base: Path, seed: int = 0, **options: Any) -> Data:
    settings = {"files": ["a.txt"], "tokenizer": {"kind": "characters"}, "window": 16, **options}
    return open_data({"source": "text", "options": settings}, base=base, seed=seed)


def tokens(base: Path, **options: Any) -> Data:
    return open_data({"source": "tokens", "options": {"file": "a.bin", "window": 4, **options}}, base=base, seed=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text(TEXT)
    return tmp_path


@given(st.integers(2, 200), st.integers(1, 20), st.integers(0, 3), st.integers(0, 3))
def test_training_windows_against_a_loop(length: int, window: int, seed: int, epoch: int) -> None:
    """An epoch's windows lie side by side, targets one place on, none twice, and only the ends are left out."""
    if length <= window:
        return
    split = TrainingWindows(np.arange(length, dtype=np.uint16), window, seed)
    batch = split.batch(epoch, torch.arange(len(split)))
    start = split.offset(epoch)
    rows = [list(range(start + i * window, start + (i + 1) * window)) for i in range(len(split))]
    assert batch["tokens"].tolist() == rows
    assert batch["targets"].tolist() == [[token + 1 for token in row] for row in rows]
    assert start >= 0 and rows[-1][-1] + 1 < length
    assert length - 1 - len(split) * window < 2 * window  # what an epoch leaves out
    assert batch["tokens"].dtype == batch["targets"].dtype == torch.int64
    assert batch["tokens"].is_contiguous() and batch["targets"].is_contiguous()


def test_epochs_differ_and_in_time_ask_for_every_token() -> None:
    split = TrainingWindows(np.arange(100, dtype=np.uint8), 16, seed=0)
    asked = Counter[int]()
    for epoch in range(300):
        asked.update(split.batch(epoch, torch.arange(len(split)))["targets"].flatten().tolist())
    assert set(asked) == set(range(1, 100))
    assert len({split.offset(epoch) for epoch in range(300)}) == 100 - 5 * 16  # each place that an offset can have


def test_a_batch_is_a_pure_function(folder: Path) -> None:
    data, again, other = text(folder), text(folder), text(folder, seed=1)
    ids = torch.tensor([5, 3, 3, 70])
    first = data.train.batch(2, ids)
    data.train.batch(0, torch.arange(10))
    for name, values in again.train.batch(2, ids).items():
        assert torch.equal(values, first[name])
        assert torch.equal(data.train.batch(2, ids)[name], values)
        assert torch.equal(data.train.batch(2, ids[2:])[name], values[2:])
    offsets = [[source.train.offset(epoch) for epoch in range(9)] for source in (data, other)]  # pyright: ignore[reportAttributeAccessIssue]
    assert offsets[0] != offsets[1]
    first["tokens"].zero_()  # what the caller does with a batch does not reach the data
    assert torch.equal(data.train.batch(2, ids)["targets"], first["targets"])
    assert data.train.batch(2, ids)["tokens"].any()


@given(st.integers(2, 100), st.integers(1, 20))
def test_validation_asks_for_every_token_once(length: int, window: int) -> None:
    split = ValidationWindows(np.arange(1, length + 1, dtype=np.uint8), window)
    batch = split.batch(0, torch.arange(len(split)))
    asked = batch["targets"] != -100
    assert sorted(batch["targets"][asked].tolist()) == list(range(2, length + 1))
    assert torch.equal(batch["tokens"][asked] + 1, batch["targets"][asked])
    if length > window:  # then every window is full of text
        assert torch.equal(batch["tokens"], batch["tokens"][:, :1] + torch.arange(window))
    assert batch["tokens"].shape == (len(split), window)
    last = split.batch(7, torch.tensor([len(split) - 1]))
    assert torch.equal(last["targets"][0], batch["targets"][-1])


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="tinyshakespeare.txt is not beside the checkout")
def test_tiny_shakespeare_is_cut_as_nanogpt_cuts_it() -> None:
    """1,003,854 and 111,540 characters and a vocabulary of 65: the figures of nanoGPT's data/shakespeare_char."""
    options = {"files": [SHAKESPEARE.name], "tokenizer": {"kind": "characters"}, "window": 64}
    data = open_data({"source": "text", "options": options}, base=SHAKESPEARE.parent, seed=0)
    whole = SHAKESPEARE.read_text()
    assert data.tokenizer is not None and data.tokenizer.vocabulary == 65
    assert data.validation is not None
    asked = data.validation.batch(0, torch.arange(len(data.validation)))["targets"]
    assert data.tokenizer.decode(asked[asked != -100].tolist()) == whole[1_003_854 + 1 :]
    assert int((asked != -100).sum()) == 111_540 - 1
    assert len(data.train) == (1_003_854 - 64) // 64
    assert data.fingerprint["tinyshakespeare.txt"]["size"] == 1_115_394
    ids = torch.arange(12)
    fastest = min(_seconds(lambda: data.train.batch(0, ids)) for _ in range(200))
    assert fastest < 100e-6  # a batch of 12 x 64


def _seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def test_the_parts_are_cut_by_characters_in_order(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("é" * 290 + "ü" * 710)
    data = text(tmp_path, tokenizer={"kind": "bytes"}, split=[0.29, 0.71])
    assert data.validation is not None and data.tokenizer is not None
    train = data.train.batch(0, torch.arange(len(data.train)))["tokens"]
    held = data.validation.batch(0, torch.arange(len(data.validation)))["targets"]
    assert set(train.flatten().tolist()) == set("é".encode())
    assert data.tokenizer.decode(held[held != -100].tolist()[1:]) == "ü" * 709  # 0.29 of 1000 is 290, not 289


def test_characters_know_the_whole_text_and_bpe_the_training_part(tmp_path: Path) -> None:
    training, held = "ab " * 300, "zq zq zq " * 12
    (tmp_path / "a.txt").write_text(training + held)
    share = len(training) / len(training + held)
    known = text(tmp_path, split=[share, 1 - share])
    assert known.tokenizer is not None and known.tokenizer.vocabulary == 5  # "ab zq"
    learned = text(tmp_path, split=[share, 1 - share], tokenizer={"kind": "bpe", "size": 300})
    assert learned.tokenizer is not None
    assert learned.tokenizer.to_json() == train_subwords(training, 300).to_json()
    assert len(learned.tokenizer.encode("zq")) == 2  # never seen together in training


def test_files_come_in_their_order_and_once(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.txt").write_text(f"<{name}>" * 10)
    (tmp_path / "a[1].txt").write_text("<bracket>")
    (tmp_path / "folder.txt").mkdir()
    data = text(tmp_path, files=["b.txt", "*.txt", "a[1].txt"], window=4, split=[1.0, 0.0])
    assert list(data.fingerprint) == ["b.txt", "a.txt", "a[1].txt", "c.txt"]
    assert data.validation is None
    assert data.tokenizer is not None
    split = data.train
    assert isinstance(split, TrainingWindows)
    assert data.tokenizer.decode(split._tokens.tolist()) == "<b>" * 10 + "<a>" * 10 + "<bracket>" + "<c>" * 10


def test_a_tokenizer_file(folder: Path) -> None:
    made = train_subwords(TEXT, 300)
    made._library.save(str(folder / "tokenizer.json"))
    data = text(folder, tokenizer={"kind": "file", "path": "tokenizer.json"})
    assert data.tokenizer is not None
    assert data.tokenizer.encode(TEXT) == made.encode(TEXT)
    assert set(data.fingerprint) == {"a.txt", "tokenizer.json"}
    assert data.fields["targets"].classes == 300


@pytest.mark.parametrize(
    ("options", "message", "help"),
    [
        ({"files": ["b.txt"]}, "there is no file b.txt", "did you mean a.txt?"),
        ({"files": ["no/where/b.txt"]}, "there is no file no/where/b.txt", "that directory does not exist"),
        ({"files": ["*.md"]}, r"no file matches \*.md", "the directory of the spec"),
        ({"files": ["folder"]}, "folder is a directory", "folder/*"),
        ({"files": []}, "names no file", "text("),
        ({"files": ["empty.txt"]}, "empty.txt is empty", ""),
        ({"files": ["latin.txt"]}, r"latin.txt is not UTF-8: byte 9 \(0xe9, on line 2\)", "UTF-8"),
        ({"window": 9999}, r"training part has 5,\d\d\d tokens", "at most"),
        ({"window": None}, "no `window`", "whole number"),
        ({"window": 0}, "`window` is 0", "at least 1"),
        ({"window": True}, "`window` is True", "at least 1"),
        ({"split": [0.9, 0.2]}, "`split` is", "come to 1"),
        ({"split": [0.9]}, "`split` is", "two parts"),
        ({"split": [0.9999, 0.0001]}, "validation part has 1 token: too few", "[1.0, 0.0]"),
        ({"tokenizer": {"kind": "words"}}, "'words' is no `kind`", "bytes, characters, bpe, file"),
        ({"tokenizer": {"kind": "bpe", "size": 10}}, r"bpe\(10\) is too small", "256"),
        ({"tokenizer": {"kind": "bpe"}}, "no `size`", "whole number"),
        ({"tokenizer": {"kind": "file", "path": "a.txt"}}, "a.txt: this is no tokenizer", "save"),
        ({"tokenizer": {"kind": "file", "path": "t.json"}}, "there is no file t.json", "relative to"),
    ],
)
def test_what_text_refuses(folder: Path, options: dict[str, Any], message: str, help: str) -> None:
    (folder / "empty.txt").write_bytes(b"")
    (folder / "latin.txt").write_bytes(b"line 1\nl \xe9t\xe9")
    (folder / "folder").mkdir()
    with pytest.raises(DataError, match=message) as fault:
        text(folder, **options)
    assert help in fault.value.help
    assert fault.value.exit_code == 1


def test_tokens_of_a_file(tmp_path: Path) -> None:
    ids = np.arange(100, dtype="<u2") * 3
    ids.tofile(tmp_path / "a.bin")
    data = tokens(tmp_path)
    assert data.fields["tokens"].classes == 298 and data.tokenizer is None
    assert data.validation is not None
    held = data.validation.batch(0, torch.arange(len(data.validation)))["targets"]
    assert held[held != -100].tolist() == ids[91:].tolist()
    split = data.train
    assert isinstance(split, TrainingWindows)
    row = split.batch(3, torch.tensor([2]))
    start = split.offset(3) + 2 * 4
    assert row["tokens"].tolist() == [ids[start : start + 4].tolist()]
    assert row["targets"].tolist() == [ids[start + 1 : start + 5].tolist()]
    assert data.fingerprint["a.bin"]["size"] == 200


def test_tokens_of_two_files_of_large_ids(tmp_path: Path) -> None:
    np.full(50, 70_000, "<u4").tofile(tmp_path / "a.bin")
    np.full(7, 90_000, "<u4").tofile(tmp_path / "b.bin")
    data = tokens(tmp_path, validation="b.bin", dtype="uint32")
    assert data.fields["targets"].classes == 90_001
    assert data.validation is not None and len(data.validation) == 2
    assert set(data.fingerprint) == {"a.bin", "b.bin"}
    assert int(data.train.batch(0, torch.tensor([0]))["targets"].max()) == 70_000


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "a.bin is empty"),
        (b"123", {}, "3 bytes, which is no whole number of uint16 tokens"),
        (b"1234", {}, "training part has 1 tokens"),
        (b"12" * 60, {"validation": "b.bin"}, "there is no file b.bin"),
        (b"12" * 60, {"dtype": "int64"}, "'int64' is no `dtype`"),
        (b"12" * 60, {"file": None}, "no `file`"),
    ],
)
def test_what_tokens_refuse(tmp_path: Path, content: bytes, options: dict[str, Any], message: str) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(DataError, match=message):
        tokens(tmp_path, **options)


def test_an_unknown_source_gets_the_nearest() -> None:
    with pytest.raises(DataError, match="no data source `texts`") as fault:
        open_data({"source": "texts", "options": {}}, base=Path(), seed=0)
    assert fault.value.help == "did you mean text?"
