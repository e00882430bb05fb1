"""Tables of tiles in files of kernels: what they may hold, what `bench --tune` tries, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_cases import Write, write
from triton_files import always, compiled, loaded
from triton_templates import interpreting

from dlspec.api import bench as api_bench
from dlspec.api.bench import tunables, tuned_tables
from dlspec.api.trained import open_run
from dlspec.cli.main import main
from dlspec.compiler.backends.triton.tiles import candidates, cells, tables_in, with_tiles
from dlspec.compiler.backends.triton.wrong_tiles import WrongTiles
from dlspec.compiler.pipeline import analyse, emit
from dlspec.grammar import Source
from dlspec.runtime.bench import step, tune
from dlspec.runtime.bench.tune import Tunable, Tuned
from dlspec.runtime.bench.use import Entry, Use, watching

__all__ = ["write"]  # a fixture

TEXT = """\
dlspec 1
default residual(pre = LayerNorm)
model Net: (x: [B, T <= 64, 32]) -> (y: [B, T, 32]) {
  residual { near: SelfAttention(2, causal = true, window = 9) }
  residual { far: SelfAttention(2, causal = true) }
  LayerNorm
}
"""
WIDE = "dlspec 1\nmodel Net: (x: [B, 9_000]) -> (y: [B, 9_000]) { RMSNorm }\n"


def kernels_text(text: str = TEXT) -> str:
    return compiled(text).kernels["net_kernels.py"]


@pytest.fixture
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


# --- tables ---


@pytest.mark.slow
def test_tables_are_found_and_stay_as_they_are_written() -> None:
    for text in (kernels_text(), kernels_text(WIDE)):
        tables = tables_in(text)
        assert {name.split("_")[0] for name in tables} <= {"ATTENTION", "NORM"}
        assert with_tiles(text, tables) == text
        assert with_tiles(text, json.loads(json.dumps(tables))) == text
        assert "ATTENTION_FORWARD_2" in tables or "ATTENTION" not in text
        for name, table in tables.items():
            for keys, cell in cells(table):
                assert candidates(name, keys, cell)[0] == cell


def test_other_tiles_are_put_in() -> None:
    text = kernels_text()
    tiles = {
        "ATTENTION_FORWARD_2": {"9": {"2": [128, 64, 8, 3, True]}},
        "NORM_BACKWARD": {"8": {"4": [64, 32, 8, 1, 1]}},
    }
    own = tables_in(text)
    assert own["NORM_BACKWARD"][8][4][1] == 32
    cell = next(
        one
        for one in candidates("NORM_BACKWARD", (8, 4), own["NORM_BACKWARD"][8][4])
        if one != own["NORM_BACKWARD"][8][4]
    )
    tiles["NORM_BACKWARD"]["8"]["4"] = list(cell)  # type: ignore[index]
    found = tables_in(with_tiles(text, tiles))
    before = own["ATTENTION_FORWARD_2"]
    assert found["ATTENTION_FORWARD_2"] == {**before, 9: {**before[9], 2: (128, 64, 8, 3, True)}}
    assert found["NORM_BACKWARD"][8][4] == cell and found["NORM_BACKWARD"][9] == own["NORM_BACKWARD"][9]
    assert found["ATTENTION_FORWARD"] == own["ATTENTION_FORWARD"]
    # Kernels of other tiles are other kernels: their operators have a namespace of their own.
    artefact = emit(analyse(Source("net.dlspec", TEXT)), kernels="triton", tiles=tiles)
    assert artefact.kernels["net_kernels.py"].split("NAMESPACE")[1][:20] != text.split("NAMESPACE")[1][:20]


WRONG: dict[str, tuple[Any, str]] = {
    "another spec's": ({"ATTENTION_FORWARD_3": {}}, "there is no table ATTENTION_FORWARD_3 among the kernels"),
    "another GPU's": ({"ATTENTION_FORWARD": {"10": [64, 64, 4, 3, True]}}, "ATTENTION_FORWARD has nothing for 10"),
    "a word": ({"ATTENTION_FORWARD": {"x": [64, 64, 4, 3, True]}}, "ATTENTION_FORWARD has nothing for x"),
    "of half precision": (
        {"ATTENTION_FORWARD": {"9": {"4": [128, 128, 8, 2, False]}}},
        "ATTENTION_FORWARD cannot have [128, 128, 8, 2, False]",
    ),
    "no table": ({"NORM_BACKWARD": {"9": [1]}}, "NORM_BACKWARD is no table"),
    "a number": ({"NORM_FORWARD": {"2": 8}}, "NORM_FORWARD cannot have 8"),
    "too few": ({"ATTENTION_FORWARD": {"9": {"2": [64, 64, 4]}}}, "ATTENTION_FORWARD cannot have [64, 64, 4]"),
    "no power of two": ({"ATTENTION_FORWARD": {"9": {"2": [60, 64, 4, 3, True]}}}, "cannot have [60, 64, 4, 3, True]"),
    "another kind": ({"ATTENTION_FORWARD": {"9": {"2": [64, 64, 4, 3, 1]}}}, "cannot have [64, 64, 4, 3, 1]"),
    "too few columns": ({"NORM_FORWARD": {"4": [128, 16, 4]}}, "NORM_FORWARD cannot have [128, 16, 4]"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("tiles", "message"), WRONG.values(), ids=WRONG.keys())
def test_tiles_that_kernels_cannot_have(tiles: Any, message: str) -> None:
    with pytest.raises(WrongTiles) as error:
        with_tiles(kernels_text(), tiles)
    assert message in str(error.value)


# --- trying them ---


def uses(
    text: str, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...] = (2, 40, 32)
) -> tuple[list[Use], Any, dict[str, list[Tunable]]]:
    artefact = compiled(text)
    module, kernels = loaded(artefact)
    monkeypatch.setattr(kernels, "fused", always)
    model = module.Net()
    model.init_weights(torch.Generator().manual_seed(0))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)).requires_grad_()
    entries = {name: Entry(one.kind, vars(one)) for name, one in artefact.variants.items()}
    with watching(model, [module], kernels, entries) as watch:
        model(x)
    return list(watch.seen.values()), kernels, tunables(artefact, "net_kernels.py")


@pytest.mark.slow
def test_the_fastest_of_those_that_give_the_same_is_taken(monkeypatch: pytest.MonkeyPatch, interpreted: None) -> None:
    """In the interpreter, with times that are made up: some do not run, one gives something else."""
    found, kernels, tables = uses(TEXT, monkeypatch)
    assert {name: [one.name for one in given] for name, given in tables.items()} == {
        "LayerNorm": ["NORM_FORWARD", "NORM_BACKWARD"],
        "attention": ["ATTENTION_FORWARD", "ATTENTION_BACKWARD_KEYS", "ATTENTION_BACKWARD_QUERIES"],
        "AddLayerNorm_2": ["NORM_FORWARD_2", "NORM_BACKWARD_2"],
        # Of the same kernels, but for the dtype under autocast.
        "AddLayerNorm_3": ["NORM_FORWARD_2", "NORM_BACKWARD_2"],
        "attention_2": ["ATTENTION_FORWARD_2", "ATTENTION_BACKWARD_KEYS_2", "ATTENTION_BACKWARD_QUERIES_2"],
    }
    use = next(one for one in found if one.name == "attention_2")
    (table,) = (one for one in tables["attention_2"] if one.name == "ATTENTION_FORWARD_2")
    before = kernels.ATTENTION_FORWARD_2[8][4]
    some = [before, (32, 16, 4, 2, False), (32, 32, 4, 2, False), (64, 64, 8, 2, False), (16, 32, 8, 2, False)]
    assert set(some) <= set(table.candidates[8, 4])
    table = Tunable(table.name, table.part, {(8, 4): some})
    seconds = dict(zip(some, (1.0, 0.5, 0.7, 0.1, 0.2), strict=True))

    def made_up(*_: object) -> float:
        cell = kernels.ATTENTION_FORWARD_2[8][4]
        if cell == some[3]:
            raise RuntimeError("out of resources")
        return seconds[cell]

    plain = tune.results

    def off(use: Use) -> list[torch.Tensor]:
        return [one + (kernels.ATTENTION_FORWARD_2[8][4] == some[4]) for one in plain(use)]

    monkeypatch.setattr(tune, "_seconds", made_up)
    monkeypatch.setattr(tune, "results", off)
    (tuned,) = tune.tune(use, kernels, [table], torch.device("cpu"))
    assert tuned == Tuned("ATTENTION_FORWARD_2", (8, 4), before, some[1], (1.0, 0.5), tried=5, failed=2)
    assert kernels.ATTENTION_FORWARD_2[8][4] == some[1]
    assert tuned_tables([(use, [tuned])]) == {"ATTENTION_FORWARD_2": {"8": {"4": list(some[1])}}}


@pytest.mark.slow
def test_what_is_hardly_faster_is_not_taken(monkeypatch: pytest.MonkeyPatch, interpreted: None) -> None:
    found, kernels, tables = uses(TEXT, monkeypatch)
    name = next(name for name in tables if "LayerNorm" in name)
    use = next(one for one in found if one.name == name)
    for table in tables[name]:
        keys, before = tune._cell(use, kernels, table)
        assert len(table.candidates[keys]) > 3
        some = Tunable(table.name, table.part, {keys: table.candidates[keys][:3]})
        inner = vars(kernels)[table.name]

        def cell(keys: tuple[int, ...] = keys, inner: Any = inner) -> Any:
            for key in keys:
                inner = inner[key]
            return inner

        monkeypatch.setattr(tune, "_seconds", lambda *_, before=before, cell=cell: 1.0 if cell() == before else 0.99)
        (tuned,) = tune.tune(use, kernels, [some], torch.device("cpu"))
        assert tuned.after == before and tuned.failed == 0 and cell() == before
        assert tuned_tables([(use, [tuned])]) == {}


@pytest.mark.slow
def test_all_that_is_tried_of_norms_gives_the_same(monkeypatch: pytest.MonkeyPatch, interpreted: None) -> None:
    found, kernels, tables = uses(TEXT, monkeypatch)
    name = next(name for name in tables if "LayerNorm" in name)
    use = next(one for one in found if one.name == name)
    monkeypatch.setattr(tune, "_seconds", lambda *_: 1.0)
    for tuned in tune.tune(use, kernels, tables[name], torch.device("cpu")):
        assert tuned.failed == 0 and tuned.tried > 5


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["LayerNorm", "RMSNorm"])
def test_rows_wider_than_a_block_are_tried_with_smaller_ones(
    norm: str, monkeypatch: pytest.MonkeyPatch, interpreted: None
) -> None:
    """As the launchers of the file that comes of it have them."""
    (use,), kernels, tables = uses(WIDE.replace("RMSNorm", norm), monkeypatch, (2, 9_000))
    (table,) = (one for one in tables[norm] if one.part == "forward")
    assert kernels.NORM_FORWARD[4] == (4096, 8)
    tries = table.candidates[(4,)]
    assert {block for block, _ in tries} == {4096, 2048, 1024}
    monkeypatch.setattr(tune, "_seconds", lambda *_: float(kernels.NORM_FORWARD[4][0]))
    (tuned,) = tune.tune(use, kernels, [table], torch.device("cpu"))
    assert tuned.failed == 0 and tuned.tried == len(tries) and tuned.after[0] == 1024
    found = with_tiles(kernels_text(WIDE.replace("RMSNorm", norm)), tuned_tables([(use, [tuned])]))
    assert tables_in(found)["NORM_FORWARD"][4] == tuned.after


# --- from the command line ---

LM = """\
dlspec 1
model Lm: (tokens: int[B, T <= 16]) -> (logits: [B, T, 256]) {
  tokens -> Embedding(256, 32) -> attn: SelfAttention(2, causal = true) -> head: Linear(256)
}
train Lm {
  data = text("a.txt", tokenizer = bytes, window = 16)
  loss = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  steps = 2
  batch = 4
}
"""


@pytest.mark.slow
def test_tuned_trained_and_kept_with_the_run(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("To be, or not to be, that is the question. " * 40, "a.txt")
    write(LM, "lm.dlspec")

    def tuned(*given: Any) -> list[Any]:
        tables = given[-1]["attention"]
        before = tables[0].candidates[9, 2][0]
        one = Tuned("ATTENTION_FORWARD", (9, 2), before, (128, 64, 8, 3, True), (2e-3, 1e-3), 13, 2)
        use = Use("attention", Entry("attention", {}), print, {}, (), None)
        return [(use, [one])]

    monkeypatch.setattr(step, "tune_kernels", tuned)
    assert main(["bench", "lm.dlspec", "--device", "cpu", "--tune", "tiles.json"]) == 1
    assert "there is nothing to tune: there is no GPU" in capsys.readouterr().err
    assert not Path("tiles.json").exists()
    monkeypatch.setattr(api_bench, "_without_kernels", lambda _: "")
    assert main(["bench", "lm.dlspec", "--device", "cpu", "--tune", "tiles.json"]) == 0
    out = capsys.readouterr().out
    assert "-> [128, 64, 8, 3, True]" in out and "13 tried, 2 did not run" in out
    assert json.loads(Path("tiles.json").read_text())["tables"] == {
        "ATTENTION_FORWARD": {"9": {"2": [128, 64, 8, 3, True]}}
    }

    line = "ATTENTION_FORWARD = {\n    9: {2: (128, 64, 8, 3, True),"
    assert main(["emit", "lm.dlspec", "-o", "out", "--kernels", "triton", "--tiles", "tiles.json"]) == 0
    assert line in Path("out/lm_kernels.py").read_text()
    arguments = ["train", "lm.dlspec", "--run", "run", "--tiles", "tiles.json", "--device", "cpu"]
    assert main(arguments) == 1
    assert "there are tiles, and no kernels to have them" in capsys.readouterr().err
    assert main([*arguments, "--kernels", "triton"]) == 0
    assert line in open_run(Path("run")).program.beside["lm_kernels.py"]
    Path("tiles.json").unlink()
    assert main(["resume", "run", "--set", "train.steps=3", "--device", "cpu"]) == 0


FILES = {
    "missing": (None, "there is no file tiles.json"),
    "no JSON": ("{", "tiles.json is no JSON: Expecting property name enclosed in double quotes: line 1 column 2"),
    "no tables": ("{}", "tiles.json has no tiles: `tables` is missing, or no object"),
    "a list": ("[]", "tiles.json has no tiles: `tables` is missing, or no object"),
    "a list of tables": ('{"tables": []}', "tiles.json has no tiles: `tables` is missing, or no object"),
    "of another spec": ('{"tables": {"NORM_FORWARD": {}}}', "the tiles do not fit: there is no table NORM_FORWARD"),
}


@pytest.mark.parametrize(("text", "message"), FILES.values(), ids=FILES.keys())
def test_files_that_are_none(text: str | None, message: str, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write("To be, or not to be, that is the question. " * 40, "a.txt")
    write(LM, "lm.dlspec")
    if text is not None:
        write(text, "tiles.json")
    for arguments in (["emit", "lm.dlspec", "-o", "out"], ["train", "lm.dlspec", "--device", "cpu"]):
        assert main([*arguments, "--kernels", "triton", "--tiles", "tiles.json"]) == 1
        told = capsys.readouterr().err
        assert f"error: {message}" in told and "bench FILE --tune" in told
        assert ('{"tables": {"ATTENTION_FORWARD":' in told) is ("`tables` is missing" in message)
    assert not Path("out").exists() and not Path("runs").exists()
