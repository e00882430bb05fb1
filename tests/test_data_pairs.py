"""Pairs of lines as tokens: what a decoder reads and says, and what is left out or wrong."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from dlspec.runtime.data import Data, DataError, open_data
from dlspec.runtime.text import ByteTokenizer, line_of, marks_of, tokenizer_from_json, train_subwords

SOURCE = ["ein Hund", "zwei Katzen", "ein Ā im Haus", "drei"]
TARGET = ["a dog", "two cats", "an Ā in the house", "three"]
ALL: dict[str, Any] = {"split": [1.0, 0.0], "window": 24}


def write(base: Path, source: list[str], target: list[str], names: tuple[str, str] = ("a.de", "a.en")) -> None:
    for name, lines in zip(names, (source, target), strict=True):
        content = "".join(f"{line}\n" for line in lines).encode()
        (base / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def pairs(base: Path, **options: Any) -> Data:
    settings = {"source": ["a.de"], "target": ["a.en"], **ALL, **options}
    settings = {name: value for name, value in settings.items() if value is not None}
    return open_data({"source": "pairs", "options": settings}, base=base, seed=0)


def fault(base: Path, **options: Any) -> DataError:
    with pytest.raises(DataError) as raised:
        pairs(base, **options)
    return raised.value


def everything(data: Data) -> dict[str, torch.Tensor]:
    return data.train.batch(0, torch.arange(len(data.train)))


# --- what the fields hold


def test_the_decoder_reads_a_start_and_says_an_end(tmp_path: Path) -> None:
    write(tmp_path, ["ab", "c"], ["xyz", "w"])
    data = pairs(tmp_path, window=5)
    batch = everything(data)
    order = [0, 1] if batch["source"][0, 0] == ord("a") else [1, 0]
    a, b, c, w, x, y, z = map(ord, "abcwxyz")
    assert {name: rows[order].tolist() for name, rows in batch.items()} == {
        "source": [[a, b, 3, 0, 0], [c, 3, 0, 0, 0]],
        "target": [[2, x, y, z, 0], [2, w, 0, 0, 0]],
        "targets": [[x, y, z, 3, -100], [w, 3, -100, -100, -100]],
    }
    assert all(field.dims == (5,) and field.classes == 256 for field in data.fields.values())


@pytest.mark.parametrize("tokenizer", [{"kind": "bytes"}, {"kind": "characters"}, {"kind": "bpe", "size": 280}])
@pytest.mark.parametrize("stored", [False, True])
def test_tokens_lead_back_to_the_lines(tmp_path: Path, tokenizer: dict[str, Any], stored: bool) -> None:
    """Also with the letter by which bpe spells the byte of a mark, and after the tokenizer was stored."""
    write(tmp_path, SOURCE, TARGET)
    data = pairs(tmp_path, tokenizer=tokenizer)
    assert data.tokenizer is not None
    known = tokenizer_from_json(data.tokenizer.to_json()) if stored else data.tokenizer
    batch = everything(data)
    said = {name: [line_of(known, row[row != -100].tolist()) for row in rows] for name, rows in batch.items()}
    assert sorted(zip(said["source"], said["target"], said["targets"], strict=True)) == sorted(
        zip(SOURCE, TARGET, TARGET, strict=True)
    )
    assert marks_of(known) == marks_of(data.tokenizer) and marks_of(known) is not None
    assert data.fields["source"].classes == known.vocabulary


def test_bpe_keeps_token_0_free_of_text_and_knows_both_sides(tmp_path: Path) -> None:
    write(tmp_path, ["!!! Hund"] * 30, ["!!! dog"] * 30)
    data = pairs(tmp_path, tokenizer={"kind": "bpe", "size": 300})
    batch, tokenizer = everything(data), data.tokenizer
    assert tokenizer is not None
    assert (batch["source"][:, :2] != 0).all()
    assert {len(tokenizer.encode(word)) for word in (" Hund", " dog")} == {1}
    again = pairs(tmp_path, tokenizer={"kind": "bpe", "size": 300})
    assert again.tokenizer is not None and again.tokenizer.to_json() == tokenizer.to_json()


def test_a_tokenizer_of_others_says_what_its_marks_are(tmp_path: Path) -> None:
    """T5 has a token that fills and one that ends, and none that starts: the decoder starts with what fills."""
    library = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2, "ein": 3, "Hund": 4, "dog": 5}, "<unk>"))
    library.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    library.save(str(tmp_path / "t.json"))
    write(tmp_path, ["ein Hund"], ["dog"])
    batch = everything(pairs(tmp_path, window=4, tokenizer={"kind": "file", "path": "t.json"}))
    assert {name: rows.tolist() for name, rows in batch.items()} == {
        "source": [[3, 4, 1, 0]],
        "target": [[0, 5, 0, 0]],
        "targets": [[5, 1, -100, -100]],
    }
    train_subwords("ein Hund", 256)._library.save(str(tmp_path / "gpt.json"))
    error = fault(tmp_path, tokenizer={"kind": "file", "path": "gpt.json"})
    assert error.message.startswith("the tokenizer has no token that ends a line") and "bpe(n)" in error.help


def test_lines_as_other_systems_write_them(tmp_path: Path) -> None:
    """A byte order mark, returns, and no new line at the end."""
    (tmp_path / "a.de").write_bytes("\ufeffab\r\nc\u2028d\r\n".encode())
    (tmp_path / "a.en").write_bytes(b"x\ny")
    batch = everything(pairs(tmp_path, window=8))
    said = {
        line_of(ByteTokenizer(), s.tolist()): line_of(ByteTokenizer(), t.tolist())
        for s, t in zip(batch["source"], batch["target"], strict=True)
    }
    assert said == {"ab": "x", "c\u2028d": "y"}


# --- parts


def test_lines_are_kept_back_the_same_for_every_run(tmp_path: Path) -> None:
    write(tmp_path, [f"s{i}" for i in range(40)], [f"t{i}" for i in range(40)])
    one, two = (pairs(tmp_path, split=[0.75, 0.25]) for _ in range(2))
    assert one.validation is not None and two.validation is not None
    assert (len(one.train), len(one.validation)) == (30, 10)
    ids = torch.arange(10)
    assert torch.equal(one.validation.batch(0, ids)["source"], two.validation.batch(0, ids)["source"])
    tokenizer = ByteTokenizer()
    said = [
        (line_of(tokenizer, s.tolist())[1:], line_of(tokenizer, t.tolist())[1:])
        for split in (one.train, one.validation)
        for s, t in zip(*(split.batch(0, torch.arange(len(split)))[name] for name in ("source", "target")), strict=True)
    ]
    assert sorted(map(int, dict(said))) == list(range(40)) and all(source == target for source, target in said)


def test_bpe_learns_from_the_training_part_alone(tmp_path: Path) -> None:
    write(tmp_path, ["aaaa bbbb"] * 20, ["cccc"] * 20)
    write(tmp_path, ["zzzz zzzz"] * 20, ["zzzz"] * 20, ("v.de", "v.en"))
    data = pairs(tmp_path, split=None, validation=["v.de", "v.en"], tokenizer={"kind": "bpe", "size": 270})
    assert data.tokenizer is not None and data.validation is not None and len(data.validation) == 20
    assert [len(data.tokenizer.encode(word)) for word in ("cccc", "zzzz")] == [1, 4]
    assert sorted(data.fingerprint) == ["a.de", "a.en", "v.de", "v.en"]


def test_packed_files_are_read_by_what_is_in_them(tmp_path: Path) -> None:
    write(tmp_path, SOURCE, TARGET, ("a.de.gz", "a.en.gz"))
    write(tmp_path, SOURCE, TARGET)
    packed = pairs(tmp_path, source=["a.de.gz"], target=["a.en.gz"])
    assert all(torch.equal(rows, everything(pairs(tmp_path))[name]) for name, rows in everything(packed).items())
    whole = (tmp_path / "a.de.gz").read_bytes()
    (tmp_path / "a.de.gz").write_bytes(whole[:-9])
    assert fault(tmp_path, source=["a.de.gz"], target=["a.en.gz"]).message.startswith("a.de.gz is damaged: ")


# --- what is left out, and what is wrong


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    write(tmp_path, ["a", "", "x" * 30, "b", "c"], ["a", "b", "c", "  ", "y" * 23])
    data = pairs(tmp_path)
    assert len(data.train) == 2
    assert data.notes == (
        "a.de with a.en: 2 of 5 pairs with an empty line left out",
        "a.de with a.en: 1 of 5 pairs of more than 24 tokens left out, the longest of 31 (the end of a line counts)",
    )


@pytest.mark.parametrize(
    ("source", "target", "message", "help"),
    [
        (
            ["a", "b", "c"],
            ["a", "b"],
            "a.de has 3 lines, and a.en 2: a line of the one is the same line of the other",
            "a.en may be cut off, or a.de have a line broken in two",
        ),
        (
            ["a", "", "b", "c"],
            ["a", "b", "c"],
            "a.de has 4 lines, and a.en 3: a line of the one is the same line of the other",
            "line 2 is empty in a.de only: look there first",
        ),
        (
            ["a", "b\0"],
            ["a", "b"],
            "a.de, line 2 holds a control character that is no text (U+0000, U+0002 or U+0003)",
            "they mark where a line starts, ends and is filled up: take it out",
        ),
        (
            ["", "x" * 24],
            ["a", "b"],
            "no pair of the training part is left: all have an empty line, or more than 24 tokens",
            "look whether these are the right files, or write a larger window",
        ),
    ],
)
def test_pairs_that_do_not_pair(tmp_path: Path, source: list[str], target: list[str], message: str, help: str) -> None:
    write(tmp_path, source, target)
    error = fault(tmp_path)
    assert (error.message, error.help) == (message, help)


def test_files_go_in_pairs(tmp_path: Path) -> None:
    write(tmp_path, SOURCE, TARGET)
    write(tmp_path, SOURCE, TARGET, ("b.de", "b.en"))
    assert len(pairs(tmp_path, source=["*.de"], target=["*.en"]).train) == 8
    assert fault(tmp_path, source=["*.de"]).message == "the source is 2 files, and the target 1: they go in pairs"
    assert fault(tmp_path, target=["c.en"]).message == "there is no file c.en"
    (tmp_path / "a.en").write_bytes(b"a\n\xff\nb\nc\n")
    assert "a.en is not UTF-8: byte 2 (0xff, on line 2)" in fault(tmp_path).message
