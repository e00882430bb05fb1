"""A table from its file to a class by its name, and what is wrong with one told before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlspec.cli.main import main

SPEC = """dlspec 1
model Kind: (features: [B, 2]) -> (logits: [B, 3]) {
  Linear(16) -> relu -> Linear(3)
}
train Kind {
  data      = table("rows.csv", features = ["length", "width"], target = "kind", classes = 3)
  loss      = cross_entropy(logits, data.target)
  metrics   = [accuracy(logits, data.target)]
  optimizer = AdamW(lr = 3e-2)
  epochs    = 20
  batch     = 16
}
export Kind {
  onnx("kind.onnx")
}
"""
KINDS = {"reed": (-1.0, 1.0), "moss": (1.0, 1.0), "fern": (0.0, -1.0)}


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """kind.dlspec and rows.csv, sorted by class as tables are; the current folder."""
    lines = ["kind,length,width"]
    for kind, (length, width) in KINDS.items():
        lines += [f"{kind},{length + i % 7 / 10},{width - i % 5 / 10}" for i in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "kind.dlspec").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_class_by_its_name(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "kind.dlspec", "--run", "run", "--quiet"]) == 0
    last = json.loads((rows / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert last["accuracy"] == 1.0
    assert main(["export", "run", "-o", "models", "--quiet"]) == 0
    (rows / "asked.json").write_text(json.dumps({"features": [list(place) for place in KINDS.values()]}))
    (rows / "rows.csv").unlink()  # a trained model needs no data
    capsys.readouterr()
    for model in ("run", "models/kind.onnx"):
        assert main(["predict", model, "--input", "asked.json", "--json"]) == 0
        outputs = json.loads(capsys.readouterr().out)["outputs"]
        assert [output["logits"]["class"] for output in outputs] == list(KINDS)


def test_rows_by_the_names_of_their_columns(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "kind.dlspec", "--run", "run", "--quiet"]) == 0
    assert main(["export", "run", "-o", "models", "--quiet"]) == 0
    (rows / "asked.csv").write_text("width,length\n" + "".join(f"{w},{n}\n" for n, w in KINDS.values()))
    (rows / "rows.csv").unlink()
    capsys.readouterr()
    for model in ("run", "models/kind.onnx"):
        assert main(["predict", model, "--input", "asked.csv"]) == 0
        said = capsys.readouterr().out.splitlines()
        assert [line.split()[2] for line in said] == list(KINDS)


def test_yes_or_no(rows: Path) -> None:
    """One score for each row, against a column of 1 and 0."""
    text = (rows / "rows.csv").read_text()
    for kind, answer in (("reed", "1"), ("moss", "0"), ("fern", "0"), ("kind", "is_reed")):
        text = text.replace(f"{kind},", f"{answer},")
    (rows / "rows.csv").write_text(text)
    spec = SPEC.replace("(logits: [B, 3])", "(score: [B])").replace("Linear(3)", "Linear(1) -> reshape([B])")
    spec = spec.replace('"kind", classes = 3', '"is_reed"')
    spec = spec.replace("cross_entropy(logits,", "binary_cross_entropy_with_logits(score,")
    spec = spec.replace("[accuracy(logits, data.target)]", "[accuracy(score, data.target, above = 0)]")
    (rows / "kind.dlspec").write_text(spec)
    assert main(["train", "kind.dlspec", "--run", "run", "--quiet"]) == 0
    last = json.loads((rows / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert last["accuracy"] == 1.0


@pytest.mark.slow
def test_a_restart_changes_nothing(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-resume", "kind.dlspec", "--steps", "12", "--set", "train.validate=every(5)"]) == 0
    assert "equal bit by bit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("kind,length,width", "kind,length,widht", "bad-data", 'rows.csv has no column "width"'),
        ("reed,-1.0,1.0", "reed,,1.0", "bad-data", 'rows.csv, line 2 has no value for "length"'),
        ("reed,-1.0,1.0", "read,-1.0,1.0", "bad-data", "4 different words, and `classes` is 3"),
    ],
)
def test_what_is_wrong_is_told_before_training(
    rows: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, code: str, words: str
) -> None:
    text = (rows / "rows.csv").read_text()
    (rows / "rows.csv").write_text(text.replace(old, new, 1))
    assert main(["check", "kind.dlspec", "--data", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["diagnostics"]
    assert found["code"] == code and words in found["message"]
    assert main(["train", "kind.dlspec", "--run", "run"]) == 1
    assert words in capsys.readouterr().err and not (rows / "run").exists()


def test_columns_are_inputs_by_their_names(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole numbers are floats where the model takes such; words are not."""
    (rows / "rows.csv").write_text("rooms,kind,price\n" + "".join(f"{i},{'ab'[i % 2]},{2 * i}\n" for i in range(20)))
    spec = (
        "dlspec 1\nmodel House: (rooms: [B], kind: INT[B]) -> (said: [B, 1]) {\n"
        "  rooms -> reshape([B, 1]) -> hidden: Linear(4) as known\n  KIND + known -> Linear(1)\n}\n"
        'train House {\n  data = table("rows.csv")\n  loss = mse(said, data.price)\n  optimizer = SGD(lr = 1e-3)\n'
        "  steps = 2\n  batch = 4\n}\n"
    )
    (rows / "house.dlspec").write_text(spec.replace("INT", "int").replace("KIND", "kind -> Embedding(2, 4)"))
    assert main(["train", "house.dlspec", "--run", "run", "--quiet"]) == 0
    (rows / "house.dlspec").write_text(spec.replace("INT", "").replace("KIND", "kind -> reshape([B, 1])"))
    capsys.readouterr()
    assert main(["train", "house.dlspec", "--run", "other"]) == 1
    told = capsys.readouterr().err
    assert "the input kind is float[], the field kind is int[]" in told and "take them as int" in told


def test_what_is_left_out_is_a_note(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rows / "copier.dlspec").write_text(
        "dlspec 1\nmodel Copier: (source: int[B, S], target: int[B, T]) -> (logits: [B, T, 256]) {\n"
        "  read = source -> first_embed: Embedding(256, 8) -> mean(over = S)\n"
        "  target -> embed: Embedding(256, 8) -> head: Linear(256) as said\n"
        "  read -> back: Linear(256) -> reshape([B, 1, 256]) -> identity + said\n}\n"
        'train Copier {\n  data = pairs("a.txt", "b.txt", window = 4, split = [1, 0])\n'
        "  loss = cross_entropy(logits, data.targets)\n  optimizer = SGD(lr = 0.1)\n  steps = 1\n  batch = 1\n}\n"
    )
    (rows / "a.txt").write_text("ab\nabcdef\n")
    (rows / "b.txt").write_text("ab\nab\n")
    assert main(["check", "copier.dlspec", "--data", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["diagnostics"]
    assert (found["severity"], found["message"]) == (
        "note",
        "a.txt with b.txt: 1 of 2 pairs of more than 4 tokens left out, the longest of 7 (the end of a line counts)",
    )
