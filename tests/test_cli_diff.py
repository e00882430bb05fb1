"""`dlspec diff`: what changed in meaning, and what only looks different."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cli_cases import LEARNS, Write, json_of, write

from dlspec.api.record import Record
from dlspec.cli.main import main

pytestmark = pytest.mark.no_torch

ROOT = Path(__file__).resolve().parent.parent
GPT = (ROOT / "specs" / "gpt.dlspec").read_text(encoding="utf-8")
NET = """dlspec 1
dim = 16
hidden = 4 * dim

default residual(pre = LayerNorm)

block Mlp(hidden) {
  fc: Linear(hidden) -> gelu -> proj: Linear(dim)
}

model Net: (x: [B, T <= 8, dim]) -> (y: [B, T, dim]) {
  blocks: repeat(3) {
    residual { attn: SelfAttention(2) }
    residual { mlp: Mlp(hidden) }
  }
  a: Linear(dim)
  (gate: Linear(dim) -> sigmoid) * up: Linear(dim)
}
"""

Differ = Callable[..., dict[str, Any]]


@pytest.fixture
def diff(write: Write, capsys: pytest.CaptureFixture[str]) -> Differ:
    """The JSON of a comparison of two texts."""

    def diff(before: str, after: str, *words: str) -> dict[str, Any]:
        assert main(["diff", write(before, "a.dlspec"), write(after, "b.dlspec"), "--json", *words]) == 0
        return json_of(capsys)

    return diff


def changed(text: str, *turns: tuple[str, str]) -> str:
    for old, new in turns:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [("Mlp", "FeedForward")],
        [("dim = 16\nhidden = 4 * dim\n", "hidden = 4 * dim\ndim = 0x10".replace("0x10", "16") + "\n")],
        [("dim = 16", "dim = 4 * 4"), ("hidden = 4 * dim", "hidden = 64")],
        [("dim", "width")],
        [("dlspec 1\n", "dlspec 1\n# A remark.\n"), ("repeat(3) {", "repeat(3) {  # three")],
        [(" -> proj", "\n  proj")],
        [("Mlp(hidden) }", "Mlp(4 * dim) }")],
        [("default residual(pre = LayerNorm)\n", ""), ("residual {", "residual(pre = LayerNorm) {")],
        [("a: Linear(dim)\n", "a: Linear(dim, bias = true)\n")],
        [("a: Linear(dim)\n", "a: Linear(dim) as b\n  b\n")],
        [("block Mlp(hidden)", "block Mlp(hidden): [B, T, D] -> [B, T, D]")],
    ],
)
def test_what_means_the_same(diff: Differ, turns: list[tuple[str, str]]) -> None:
    found = diff(NET, changed(NET, *turns))
    assert found["equal"] and found["changes"] == []
    (model,) = found["models"]
    assert model["parameters"]["before"] == model["parameters"]["after"] and model["checkpoint"]["loads"]


@pytest.mark.parametrize(
    ("turn", "kind", "place", "text", "loads"),
    [
        (("pre = LayerNorm", "post = LayerNorm"), "placement", "blocks.*.attn", "pre -> post norm", True),
        (("pre = LayerNorm", "pre = RMSNorm"), "type", "blocks.*.attn_norm", "LayerNorm -> RMSNorm", False),
        (("gelu", "relu"), "function", "blocks.*.mlp.fc", "gelu -> relu", True),
        (("-> gelu ", ""), "function", "blocks.*.mlp.fc", "removed: gelu", True),
        (("repeat(3)", "repeat(5)"), "copies", "blocks", "3 -> 5 copies", False),
        (("SelfAttention(2)", "SelfAttention(4)"), "option", "blocks.*.attn", "SelfAttention: heads = 2 -> 4", True),
        (("a: Linear(dim)\n", "a: Linear(dim, bias = false)\n"), "option", "a", "Linear: bias = true -> false", False),
        (("  a: Linear(dim)\n", ""), "removed", "a", "removed: Linear(dim), 272 parameters", False),
        (("  a: L", "  n: LayerNorm\n  a: L"), "added", "n", "added: LayerNorm, 32 parameters", False),
        (("a: Linear", "first: Linear"), "renamed", "first", "a -> first", False),
        (("a: Linear(dim)\n", "a: Linear(dim, weight = up.weight)\n"), "tie", "a", "", False),
        (
            ("(gate: Linear(dim) -> sigmoid) * up", "(gate: Linear(dim) -> sigmoid) + up"),
            "function",
            "",
            "* -> +",
            True,
        ),
        (("T <= 8", "T <= 16"), "value", "T", "at most 8 -> at most 16", True),
        (("T <= 8", "2 <= T <= 8"), "value", "T", "at most 8 -> 2 to 8", True),
        (("T <= 8", "T > 2"), "value", "T", "at most 8 -> at least 3", True),
        (("(x: ", "(z: "), "name", "input", "x -> z", True),
        (("model Net", "model Other"), "name", "", "Net -> Other", True),
    ],
)
def test_what_means_something_else(
    diff: Differ, turn: tuple[str, str], kind: str, place: str, text: str, loads: bool
) -> None:
    if turn[1].endswith("up.weight)\n"):
        turn = (turn[0], turn[1].replace("up.weight", "late.weight"))
        before = changed(NET, ("  a: Linear", "  late: Linear(dim)\n  a: Linear"))
    else:
        before = NET
    found = diff(before, changed(before, turn))
    assert not found["equal"]
    same = [c for c in found["changes"] if c["kind"] == kind and c["place"].startswith(place) and text in c["text"]]
    assert same, found["changes"]
    assert found["models"][0]["checkpoint"]["loads"] is loads


def test_the_same_modules_wired_otherwise(diff: Differ) -> None:
    one = NET.replace("  a: Linear(dim)\n", "  a: Linear(dim) as p\n  b: Linear(dim) as q\n  p + p * q\n")
    found = diff(one, one.replace("p + p * q", "p + q * q"))
    assert [c["kind"] for c in found["changes"]] == ["wiring"]
    assert found["changes"][0]["text"] == "the same modules, wired in another way"
    wider = diff(one, one.replace("p + p * q", "p + q * q"), "--set", "dim=32")
    assert "wiring" in [c["kind"] for c in wider["changes"]]


def test_sides_that_commute_differ_in_the_order_of_weights_alone(diff: Differ) -> None:
    turned = NET.replace(
        "(gate: Linear(dim) -> sigmoid) * up: Linear(dim)", "up: Linear(dim) * (gate: Linear(dim) -> sigmoid)"
    )
    found = diff(NET, turned)
    assert [c["kind"] for c in found["changes"]] in (["order"], ["function"]), found["changes"]


def test_the_names_of_a_functions_parameters_mean_nothing(diff: Differ) -> None:
    functions = """dlspec 1
cap(x, limit = 30) = min(x, limit)
tilt(s, q, k, h, slope) = s - slope * (q - k) * (h + 1)
model Net: (x: [B, T, 8]) -> (y: [B, T, 8]) {
  SelfAttention(2, score = tilt(slope = 0.5))
  cap(limit = 6)
}
"""
    renamed = (
        functions.replace("limit", "top").replace("slope", "steep").replace("cap(x", "cap(z").replace("min(x", "min(z")
    )
    found = diff(functions, renamed)
    assert found["equal"], found["changes"]
    assert not diff(functions, functions.replace("s - slope", "s + slope"))["equal"]


def test_a_score_is_written_as_a_call(diff: Differ) -> None:
    one = changed(
        NET,
        ("dlspec 1\n", "dlspec 1\ntilt(s, q, k, h, slope) = s + slope * (q - k)\n"),
        ("SelfAttention(2)", "SelfAttention(2, score = tilt(slope = 2))"),
    )
    found = diff(one, changed(one, ("slope = 2)", "slope = 3)")))
    assert [c["text"] for c in found["changes"]] == ["SelfAttention: score = tilt(slope = 2) -> tilt(slope = 3)"]


def test_a_weight_in_a_score_is_written_as_in_a_spec(diff: Differ) -> None:
    text = NET.replace("model", "tilt(s, q, k, h, slope) = s + slope * (k - q)\n\nmodel", 1)
    before, after = "tilt(slope = Weight([2]))", "tilt(slope = Weight([2], init = ones))"
    turns = [("SelfAttention(2)", f"SelfAttention(2, score = {score})") for score in (before, after)]
    found = diff(changed(text, turns[0]), changed(text, turns[1]))
    assert [c["text"] for c in found["changes"]] == [f"SelfAttention: score = {before} -> {after}"]


def test_what_a_block_is_given_is_told_and_its_layers_follow(diff: Differ) -> None:
    """Its layers say `hidden` on both sides."""
    text = """dlspec 1
dim = 8
block Mlp(hidden) { fc: Linear(hidden) -> relu -> proj: Linear(dim) }
block Twice(wide) { first: Mlp(wide) -> second: Mlp(2 * wide) }
model Net: (x: [B, dim]) -> (y: [B, dim]) { repeat(2) { Twice(4 * dim) } }
"""
    found = diff(text, changed(text, ("Twice(4 * dim)", "Twice(3 * dim)")))
    told = [c for c in found["changes"] if not c["follows"]]
    assert [(c["place"], c["places"], c["text"]) for c in told] == [
        ("layers.*.twice", 2, "Twice: wide = 4 * dim = 32 -> 3 * dim = 24")
    ]
    assert all(c["follows"] for c in diff(text, text, "--set", "dim=16")["changes"] if c["section"] == "model")


def test_a_constant_comes_first_and_what_follows_is_marked(diff: Differ) -> None:
    found = diff(NET, NET, "--set", "dim=32")
    first, second, *rest = found["changes"]
    assert (first["place"], first["text"], first["follows"]) == ("dim", "16 -> 32", False)
    assert (second["place"], second["follows"]) == ("hidden", True)
    assert rest and all(change["follows"] for change in rest)
    assert {c["place"] for c in rest if c["section"] == "ports"} == {"x", "y"}


@pytest.mark.parametrize(
    ("before", "after", "place", "text"),
    [
        ("experts(4, top = 2) { Linear(16) }", "experts(4, top = 1) { Linear(16) }", "experts", "top = 2 -> 1"),
        ("experts(4, top = 2) { Linear(16) }", "experts(8, top = 2) { Linear(16) }", "experts", "4 -> 8 experts"),
        ("share(3) { Linear(16) }", "share(4) { Linear(16) }", "first", "share(3) -> share(4)"),
        ("residual(scale = 2) { f: Linear(16) }", "residual(scale = 3) { f: Linear(16) }", "f", "scale = 2 -> 3"),
        (
            "residual(out = LayerNorm) { f: Linear(16) }",
            "residual(pre = LayerNorm) { f: Linear(16) }",
            "f",
            "out -> pre",
        ),
        ("f: Linear(16) -> cap", "f: Linear(16) -> cup", "f", "cap() -> cup()"),
    ],
)
def test_combinators(diff: Differ, before: str, after: str, place: str, text: str) -> None:
    frame = """dlspec 1
cap(x) = min(x, 3)
cup(x) = max(x, 3)
model Net: (x: [B, T <= 8, 16]) -> (y: [B, T, 16]) {{
  first: Linear(16) -> cap -> cup
  {}
}}
"""
    found = diff(frame.format(before), frame.format(after))
    assert [c for c in found["changes"] if c["place"] == place and text in c["text"]], found["changes"]
    assert diff(frame.format(before), frame.format(before))["equal"]


def test_parameters_and_flops(diff: Differ) -> None:
    found = diff(NET, NET.replace("  a: Linear(dim)\n", ""))
    (model,) = found["models"]
    assert model["parameters"]["before"] - model["parameters"]["after"] == 16 * 16 + 16
    assert model["flops_per_sample"]["before"] - model["flops_per_sample"]["after"] == 2 * 8 * 16 * 16


def test_what_a_checkpoint_would_have_to_map(diff: Differ) -> None:
    after = changed(NET, ("blocks:", "layers:"), ("attn:", "attention:"), ("  a: L", "  first: L"))
    fit = diff(NET, after)["models"][0]["checkpoint"]
    assert not fit["loads"] and fit["reshaped"] == []
    assert ["a", "first"] in fit["map"]
    assert ["blocks.*.attn", "layers.*.attention"] in fit["map"]
    assert len(fit["missing"]) == len(fit["unexpected"])


def test_reshaped_weights(diff: Differ) -> None:
    fit = diff(NET, NET.replace("Mlp(hidden)", "Mlp(2 * dim)", 2).replace("block Mlp(2 * dim)", "block Mlp(hidden)"))
    shapes = {row["key"]: (row["before"], row["after"]) for row in fit["models"][0]["checkpoint"]["reshaped"]}
    assert shapes["blocks.0.mlp.fc.weight"] == ([64, 16], [32, 16])


@pytest.mark.parametrize(
    ("turn", "place", "text"),
    [
        (("AdamW(lr = 1e-3)", "AdamW(lr = 3e-4)"), "optimizer.lr", "1e-3 -> 3e-4"),
        (("AdamW(lr = 1e-3)", "SGD(lr = 1e-3)"), "optimizer", "AdamW(lr = 1e-3) -> SGD(lr = 1e-3)"),
        (("epochs    = 2", "epochs    = 3"), "length", "2 * epoch -> 3 * epoch"),
        (("epochs    = 2", "steps     = 200"), "length", "2 * epoch -> 200 steps"),
        (("batch     = 64", "batch     = 32"), "batch", "64 -> 32"),
        (("batch     = 64", "batch     = 64\n  precision = bf16"), "precision", "fp32 -> bf16"),
        (("batch     = 64", "batch     = 64\n  clip      = 1.0"), "clip", "none -> 1.0"),
        (("batch     = 64", "batch     = 64\n  seed      = 7"), "seed", " -> 7"),
        (("batch     = 64", "batch     = 64\n  schedule  = warmup(5%)"), "schedule", "none -> warmup(5%)"),
        (
            ("batch     = 64", "batch     = 64\n  metrics   = [accuracy(logits, data.label)]"),
            "metrics",
            "none -> [accuracy(logits, data.label)]",
        ),
        (("label)", "label, smoothing = 0.1)"), "loss", "cross_entropy(logits, data.label) -> "),
        (("batch     = 64", "batch     = 64\n  parallel  = ddp"), "parallel", "ddp"),
        (("train MLP {", "train MLP as long {"), "", "MLP -> long"),
    ],
)
def test_training(diff: Differ, turn: tuple[str, str], place: str, text: str) -> None:
    (change,) = diff(LEARNS, changed(LEARNS, turn))["changes"]
    assert change["section"] == "train" and change["place"] == place
    assert text in change["text"]


def test_sides_that_have_arrows_of_their_own_stand_in_parentheses(diff: Differ) -> None:
    one = changed(LEARNS, ("batch     = 64", "batch     = 64\n  schedule  = warmup(5%) -> constant"))
    (change,) = diff(one, changed(one, ("-> constant", "-> linear(to = 0)")))["changes"]
    assert change["text"] == "(warmup(5%) -> constant) -> (warmup(5%) -> linear(to = 0))"


def test_lengths_are_written_as_in_a_spec(diff: Differ) -> None:
    one = changed(LEARNS, ("batch     = 64", "batch     = 64\n  schedule  = warmup(100) -> constant"))
    (change,) = diff(one, changed(one, ("warmup(100)", "warmup(1 * epoch)")))["changes"]
    assert change["text"] == "(warmup(100) -> constant) -> (warmup(1 * epoch) -> constant)"


def test_what_is_left_out_of_a_recipe_that_cannot_be_run_is_what_it_would_be(diff: Differ) -> None:
    pictures = (ROOT / "specs" / "resnet18.dlspec").read_text(encoding="utf-8")
    after = changed(pictures, ("  epochs    = 90\n", "  steps     = 2_000\n  precision = bf16\n  accumulate = 2\n"))
    told = {change["place"]: change["text"] for change in diff(pictures, after)["changes"]}
    assert told == {"length": "90 * epoch -> 2_000 steps", "precision": "fp32 -> bf16", "accumulate": "1 -> 2"}
    (change,) = diff(pictures, changed(pictures, ("  epochs ", "  clip      = 1.0\n  epochs ")))["changes"]
    assert change["text"] == "none -> 1.0"
    assert diff(pictures, changed(pictures, ("  epochs ", "  precision = fp32\n  epochs ")))["equal"]


def test_data_is_told_by_its_options(diff: Differ) -> None:
    assert [(c["place"], c["text"]) for c in diff(GPT, changed(GPT, ("bpe(vocab)", '"bpe.json"')))["changes"]] == [
        ("data.tokenizer", "bpe(50257) -> bpe.json")
    ]


def test_the_headline_says_what_came_and_went(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    before = write(NET, "a.dlspec")
    after = write(changed(NET, ("(gate: Linear(dim) -> sigmoid) * up: Linear(dim)", "up: Linear(dim)")), "b.dlspec")
    for one, other, word in ((before, after, "removed"), (after, before, "added")):
        assert main(["diff", one, other]) == 0
        assert f"sigmoid {word}, 1 module {word}, " in capsys.readouterr().out.splitlines()[0]


def test_a_tie_that_is_undone_is_no_other_wiring(diff: Differ) -> None:
    tied = """dlspec 1
model Net: (x: int[B, T]) -> (y: [B, T, 9]) {
  wte: Embedding(9, 8)
  head: Linear(9, bias = false, weight = wte.weight)
}
"""
    (change,) = diff(tied, changed(tied, (", weight = wte.weight", "")))["changes"]
    assert (change["place"], change["kind"]) == ("head", "tie")


def test_the_headline_has_what_changed_inside_and_other_ports_below(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    before = write("dlspec 1\nmodel A: (x: [B, 8]) -> (y: [B, 8]) {\n  relu\n}\n", "a.dlspec")
    after = write("dlspec 1\nmodel N: (x: [B, 9]) -> (y: [B, 9]) {\n  relu\n}\n", "b.dlspec")
    assert main(["diff", before, after]) == 0
    told = capsys.readouterr().out
    assert told.startswith("N: same parameters, other ports, a checkpoint of A loads\n")
    assert "  x  [B, 8] -> [B, 9]\n" in told and "  name  A -> N\n" in told


def test_the_order_of_keys_is_nothing(diff: Differ) -> None:
    lines = re.findall(r"^  (?:data|loss|optimizer|epochs|batch) .*\n", LEARNS, re.MULTILINE)
    assert len(lines) == 5
    assert diff(LEARNS, LEARNS.replace("".join(lines), "".join(reversed(lines))))["equal"]


def test_export(diff: Differ) -> None:
    before = LEARNS + 'export MLP {\n  onnx("a.onnx")\n}\n'
    (change,) = diff(before, before.replace("a.onnx", "b.onnx"))["changes"]
    assert change["section"] == "export" and change["text"] == "a.onnx -> b.onnx"
    (change,) = diff(LEARNS, before)["changes"]
    assert change["text"] == "export added"
    (change,) = diff(before, before.replace('a.onnx")', 'a.onnx", outputs = [logits])'))["changes"]
    assert change["text"] == "none -> [logits]"


def test_the_text_for_people(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(GPT, "a.dlspec")
    write(changed(GPT, ("residual(pre", "residual(post"), ("lr = 6e-4", "lr = 3e-4")), "b.dlspec")
    assert main(["diff", "a.dlspec", "b.dlspec", "--quiet"]) == 0
    assert capsys.readouterr().out == (
        "GPT: pre -> post norm, same parameters, same ports, a checkpoint of A loads\n"
        "\n"
        "model GPT\n"
        "  blocks.*.attn (12 places)  pre -> post norm\n"
        "  blocks.*.mlp (12 places)   pre -> post norm\n"
        "\n"
        "train GPT\n"
        "  optimizer.lr  6e-4 -> 3e-4\n"
    )
    assert main(["diff", "a.dlspec", "a.dlspec", "--quiet"]) == 0
    assert capsys.readouterr().out == "no difference in meaning\n"


def test_a_wider_model_is_told_shortly(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(GPT, "a.dlspec")
    assert main(["diff", "a.dlspec", "a.dlspec", "--set", "dim=1024", "--set", "heads=16", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "\nconstants\n  dim    768 -> 1024\n  heads  12 -> 16\n" in out
    assert "blocks.*.attn.q.weight (12 places)  [768, 768] -> [1024, 1024]" in out
    assert len(out.splitlines()) < 45


@pytest.mark.slow
def test_any_two_specs_can_be_compared(diff: Differ) -> None:
    specs = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "specs").glob("*.dlspec"))]
    for before, after in pairwise([*specs, specs[0]]):
        assert diff(before, before)["equal"]
        assert not diff(before, after)["equal"]


def run_of(text: str, recipe: str, overrides: tuple[str, ...] = (), name: str = "run") -> Record:
    """A directory as a run has it."""
    run = Path(name)
    run.mkdir()
    record = Record("a.dlspec", text, overrides, recipe, {})
    hashes = {}
    for file, written in record.texts.items():
        (run / file).write_text(written, encoding="utf-8")
        hashes[file] = sha256(written.encode()).hexdigest()
    (run / "manifest.json").write_text(json.dumps({"texts": hashes}))
    return record


def test_a_run_is_compared_by_the_spec_it_was_made_from(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(LEARNS, "a.dlspec")
    record = run_of(LEARNS, "MLP", ("train.batch=32",))
    assert main(["diff", "run", "a.dlspec", "--json"]) == 0
    (change,) = json_of(capsys)["changes"]
    assert (change["place"], change["text"]) == ("batch", "32 -> 64")
    Path("run", "resolved.json").write_text(record.texts["resolved.json"].replace("digits", "digit"))
    assert main(["diff", "run", "a.dlspec"]) == 1
    assert "damaged or was edited" in capsys.readouterr().err


def test_a_run_is_compared_by_the_recipe_it_was_trained_by(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    head, _, recipe = LEARNS.partition("train MLP {")
    two = f"{head}train MLP as base {{{recipe}\ntrain MLP as tune {{{recipe.replace('= 64', '= 16')}"
    write(two, "a.dlspec")
    run_of(two, "base", name="base")
    run_of(two, "tune", name="tune")
    changes = {}
    for a, b in (("base", "tune"), ("tune", "a.dlspec"), ("base", "a.dlspec")):
        assert main(["diff", a, b, "--json"]) == 0
        changes[a, b] = [(change["place"], change["text"]) for change in json_of(capsys)["changes"]]
    assert changes["base", "tune"] == [("", "base -> tune"), ("batch", "64 -> 16")]
    assert changes["tune", "a.dlspec"] == changes["base", "a.dlspec"] == []


def test_faults_are_told_as_check_tells_them(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(LEARNS, "a.dlspec")
    write(LEARNS.replace("Linear", "Liner"), "b.dlspec")
    assert main(["diff", "a.dlspec", "b.dlspec"]) == 1
    assert "there is no layer or block `Liner`" in capsys.readouterr().err.replace("no layer `", "no layer or block `")
    assert main(["diff", "a.dlspec", "c.dlspec"]) == 2
    assert "there is no file c.dlspec" in capsys.readouterr().err


def test_no_framework_is_loaded(write: Write) -> None:
    write(NET)
    program = (
        "import sys; from dlspec.cli.main import main; main(['diff', 'net.dlspec', 'net.dlspec']);"
        "print(*{'torch', 'numpy', 'onnx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "no difference in meaning\n\n", done.stderr


__all__ = ["write"]  # a fixture
