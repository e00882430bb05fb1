"""Lines translated: the decoder alone, and models that learned to turn the words of a line around."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dlspec.cli.main import main
from dlspec.runtime.errors import Diverged, Refused
from dlspec.runtime.metadata import Metadata
from dlspec.runtime.session import Arrays, Session
from dlspec.runtime.settings import Port
from dlspec.runtime.text import ByteTokenizer, CharacterTokenizer
from dlspec.runtime.translation import LONGER, Translator, translator_of

SOURCE, TARGET = Port("source", "int", ("B", "S")), Port("target", "int", ("B", "T"))
LOGITS = Port("logits", "float", ("B", "T", 300))
START, END = 2, 3


class Backwards(Session):
    """Says the source from its end to its start, and then the end; remembers the shapes that it was given."""

    def __init__(self, *, limits: Mapping[str, int] | None = None, ends: bool = True) -> None:
        inputs = (TARGET, SOURCE)  # which is which is told by their dims
        super().__init__(Metadata("", "", inputs, (LOGITS,), limits=limits or {}, tokenizer=ByteTokenizer()))
        self.ends = ends
        self.shapes: list[tuple[int, int]] = []

    def run(self, feeds: Mapping[str, NDArray]) -> Arrays:
        source, target = feeds["source"], feeds["target"]
        self.shapes.append((source.shape[1], target.shape[1]))
        assert (target[:, 0] == START).all()
        logits = np.zeros((*target.shape, 300), np.float32)
        logits[:, :, 299] = 9  # beyond the vocabulary: never said
        for row, ids in enumerate(source):
            line = ids[: ids.tolist().index(END)]
            said = [*line[::-1], END if self.ends else ord("x"), *[ord("x")] * 99]
            for place in range(target.shape[1]):
                logits[row, place, said[place]] = 5
        return {"logits": logits}


def translator(session: Session) -> Translator:
    found = translator_of(session)
    assert found is not None and (found.source, found.target, found.output) == (SOURCE, TARGET, LOGITS)
    return found


def test_lines_of_all_lengths_are_translated_as_each_alone() -> None:
    texts = ["abc", " ", "ä", "de f"] * 40
    session = Backwards()
    together = list(translator(session).lines(texts))
    alone = [next(translator(Backwards()).lines([text])) for text in texts[:4]]
    assert together == alone * 40
    assert alone[0] == "cba" and alone[1] == "" and alone[3] == "f ed"
    assert session.shapes[:5] == [(5, length) for length in range(1, 6)]  # until the longest has ended


def test_what_never_ends_is_cut_off() -> None:
    (line,) = translator(Backwards(ends=False)).lines(["ab"])
    assert line == "ba" + "x" * (3 + LONGER - 2)
    (line,) = translator(Backwards(ends=False, limits={"T": 6})).lines(["ab"])
    assert line == "baxxxx"


def test_what_the_model_cannot_read_names_its_line() -> None:
    with pytest.raises(Refused) as refused:
        list(translator(Backwards(limits={"S": 3})).lines(["ab", "abc"]))
    assert refused.value.message == "line 2 is 4 tokens, and S is 3 at most"
    session = Backwards()
    session.metadata = replace(session.metadata, tokenizer=CharacterTokenizer.of("\0\2\3ab"))
    with pytest.raises(Refused, match="line 1: the model does not know the character 'q', at position 2"):
        list(translator(session).lines(["aq"]))


def test_logits_that_are_not_finite_are_told() -> None:
    session = Backwards()
    session.run = lambda feeds: {"logits": np.full((1, 1, 300), np.nan, np.float32)}  # type: ignore[method-assign]
    with pytest.raises(Diverged):
        list(translator(session).lines(["a"]))


def test_a_prompt_is_a_source() -> None:
    assert "".join(translator(Backwards()).sampled("abc", 20, 0.0, None, 0)) == "cba"
    assert "".join(translator(Backwards()).sampled("abc", 2, 0.0, None, 0)) == "cb"


def test_other_models_do_not_translate() -> None:
    picture = Port("image", "float", ("B", 1, 8, 8))
    for metadata in (
        Metadata("", "", (SOURCE,), (LOGITS,), tokenizer=ByteTokenizer()),
        Metadata("", "", (picture, TARGET), (LOGITS,), tokenizer=ByteTokenizer()),
        Metadata("", "", (SOURCE, TARGET), (LOGITS,), tokenizer=CharacterTokenizer("abc")),  # has no end
        Metadata("", "", (SOURCE, TARGET), (LOGITS,)),
    ):
        session = Backwards()
        session.metadata = metadata
        assert translator_of(session) is None


# --- models that learn it

WORDS = "eins zwei drei vier acht zehn elf neun".split()
SMALL = {
    "transformer": "vocab=290 dim=32 heads=2 depth=1 drop=0 train.steps=400 train.optimizer.lr=5e-3",
    "seq2seq": "vocab=290 dim=32 hidden=64 train.epochs=16 train.optimizer.lr=1e-2",
}
SCHEDULES = {"transformer": "warmup(50) -> inverse_sqrt", "seq2seq": "stable(50%) -> cosine(to = 0)"}


def settings_of(name: str, *more: str) -> list[str]:
    schedule = f"train.schedule={SCHEDULES[name]}"
    said = [*SMALL[name].split(), schedule, "train.batch=64", "train.data.window=8", *more]
    return [word for setting in said for word in ("--set", setting)]


@pytest.fixture
def lines(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The specs beside two files of 2,000 lines, one with the words of the other turned around; the current folder."""
    rng = random.Random(1)
    told = [[rng.choice(WORDS) for _ in range(rng.randint(2, 4))] for _ in range(2000)]
    (tmp_path / "train.de").write_text("".join(f"{' '.join(words)}\n" for words in told))
    (tmp_path / "train.en").write_text("".join(f"{' '.join(words[::-1])}\n" for words in told))
    for name in SMALL:
        shutil.copy(repo / "specs" / f"{name}.dlspec", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_words_turned_around(lines: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Trained, evaluated, translated by the run and by its file, which has its tokenizer with it."""
    assert main(["train", f"{name}.dlspec", "--run", "run", "--quiet", *settings_of(name)]) == 0
    records = [json.loads(line) for line in (lines / "run/metrics.jsonl").read_text().splitlines()]
    assert records[-1]["split"] == "validation" and records[-1]["bleu"] > 40
    capsys.readouterr()
    assert main(["evaluate", "run", "--json"]) == 0
    assert told(capsys)["values"]["bleu"] == records[-1]["bleu"]
    texts = (lines / "train.de").read_text().splitlines()[:200]
    (lines / "in.txt").write_text("".join(f"{text}\n" for text in texts))
    assert main(["predict", "run", "--input", "in.txt", "--json"]) == 0
    found = [output["target"] for output in told(capsys)["outputs"]]
    right = [one == " ".join(text.split()[::-1]) for one, text in zip(found, texts, strict=True)]
    assert sum(right) > 0.6 * len(right)
    assert main(["generate", "run", "--prompt", texts[0], "--temperature", "0", "--json"]) == 0
    assert told(capsys)["text"] == found[0]
    assert main(["export", "run", "-o", "models", "--to", "onnx,torchscript", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["predict", f"models/{name}.onnx", "--input", "in.txt"]) == 0
    assert capsys.readouterr().out.splitlines() == found


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_restart_changes_nothing(lines: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    command = ["verify-resume", f"{name}.dlspec", "--steps", "9", *settings_of(name, "train.validate=every(3)")]
    assert main(command) == 0
    assert "equal bit by bit" in capsys.readouterr().out
