"""Weights of a file in a model: every number where it belongs, and whatever does not fit is told before training."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor
from weights_cases import SHAPES, drawn, program, spec, started, write

from dlspec.runtime import Refused
from dlspec.runtime.weights import open_start
from dlspec.runtime.weights.files import open_weights


def start_from(folder: Path, start: str, tensors: dict[str, Tensor] | None = None, **keys: str) -> dict[str, Tensor]:
    """The state of a model that starts from `m.safetensors` in `folder`."""
    if tensors is not None:
        write(folder / "m.safetensors", tensors)
    return started(program(spec(start, **keys)), folder).state_dict()


def refusal(folder: Path, start: str, tensors: dict[str, Tensor] | None = None) -> str:
    with pytest.raises(Refused) as caught:
        start_from(folder, start, tensors)
    return f"{caught.value.message}\n{caught.value.help}"


# --- what goes where -------------------------------------------------------------------------------------------------


def test_a_file_of_the_models_names(tmp_path: Path) -> None:
    state = start_from(tmp_path, 'weights("m.safetensors")', drawn())
    assert state.keys() == SHAPES.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in drawn().items())


def test_names_transposes_joined_and_split(tmp_path: Path) -> None:
    """The same weights as another model would keep them."""
    own = drawn()
    theirs = {
        "fc.kernel": own["stem.weight"].T,
        "fc.b": own["stem.bias"],
        "out_a.weight": own["head.weight"][:4],
        "out_a.bias": own["head.bias"][:4],
        "out_b.weight": own["head.weight"][4:],
        "out_b.bias": own["head.bias"][4:],
    }
    for i in range(2):
        theirs[f"h.{i}.up.weight"] = own[f"blocks.{i}.mlp.up.weight"]
        theirs[f"h.{i}.up.bias"] = own[f"blocks.{i}.mlp.up.bias"]
        theirs[f"h.{i}.down"] = own[f"blocks.{i}.mlp.down.weight"].T
        theirs[f"h.{i}.down_bias"] = own[f"blocks.{i}.mlp.down.bias"].reshape(1, 4, 4)
    start = """weights("m.safetensors", map = [
    "fc.kernel" -> transpose -> "stem.weight",
    "fc.b" -> "stem.bias",
    ["out_a", "out_b"] -> "head",
    "h.*.up" -> "blocks.*.mlp.up",
    "h.*.down" -> transpose -> "blocks.*.mlp.down.weight",
    "h.*.down_bias" -> reshape -> "blocks.*.mlp.down.bias",
  ])"""
    state = start_from(tmp_path, start, theirs)
    assert all(torch.equal(state[name], tensor) for name, tensor in own.items())


def test_one_matrix_is_the_rows_of_several(tmp_path: Path) -> None:
    """Of unequal parts too, as with fewer key heads; biases come apart likewise."""
    model = """
model Net: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  flatten -> [q: Linear(6), k: Linear(3), v: Linear(3)] -> concat(axis = 1) -> head: Linear(10)
}
"""
    joined, bias = torch.randn(64, 12), torch.randn(12)
    head = {"head.weight": torch.randn(10, 12), "head.bias": torch.randn(10)}
    write(tmp_path / "m.safetensors", {"c_attn.weight": joined, "c_attn.bias": bias, **head})
    start = 'weights("m.safetensors", map = ["c_attn" -> transpose -> ["q", "k", "v"]])'
    state = started(program(spec(start, model)), tmp_path).state_dict()
    assert torch.equal(torch.cat([state[f"{name}.weight"] for name in "qkv"]), joined.T)
    assert torch.equal(torch.cat([state[f"{name}.bias"] for name in "qkv"]), bias)
    assert torch.equal(state["k.bias"], bias[6:9])


def test_what_is_skipped_is_drawn_as_without_a_file(tmp_path: Path) -> None:
    others = drawn() | {"head.weight": torch.zeros(37, 16), "head.bias": torch.zeros(37), "fc.weight": torch.zeros(3)}
    state = start_from(tmp_path, 'weights("m.safetensors", skip = [head, "fc"])', others)
    fresh = program(spec('weights("m.safetensors")')).make_model().state_dict()
    assert torch.equal(state["head.weight"], fresh["head.weight"])
    assert torch.equal(state["stem.weight"], others["stem.weight"])


def test_a_part_of_the_model(tmp_path: Path) -> None:
    inner = {name.removeprefix("blocks.0.mlp."): t for name, t in drawn().items() if name.startswith("blocks.0.mlp.")}
    renamed = {name.replace("up", "fc"): tensor for name, tensor in inner.items()}
    start = 'weights("m.safetensors", map = ["fc" -> "up"], into = blocks.0.mlp)'
    state = start_from(tmp_path, start, renamed)
    run = program(spec(start))
    fresh = run.make_model().state_dict()
    (note,) = open_start(run.options.start or {}, tmp_path).fill(run.make_model())
    assert note == "4 weights are those of m.safetensors; drawn as ever: all outside blocks.0.mlp"
    for name, tensor in state.items():
        own = inner.get(name.removeprefix("blocks.0.mlp.")) if name.startswith("blocks.0.mlp.") else fresh[name]
        assert own is not None and torch.equal(tensor, own)


TIED = """
model Net: (tokens: int[B, T]) -> (logits: [B, T, 12]) {
  tok: Embedding(12, 8) -> head: Linear(12, bias = false, weight = tok.weight)
}
"""


def tied(folder: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    write(folder / "m.safetensors", tensors)
    text = spec('weights("m.safetensors")', TIED, data='tokens("x.bin", window = 4)').replace(
        "data.label", "data.targets"
    )
    return started(program(text), folder).state_dict()


def test_a_weight_with_two_names_may_stand_under_either(tmp_path: Path) -> None:
    weight = torch.randn(12, 8)
    for names in (["tok.weight"], ["head.weight"], ["tok.weight", "head.weight"]):
        state = tied(tmp_path, {name: weight.clone() for name in names})
        assert torch.equal(state["tok.weight"], weight) and torch.equal(state["head.weight"], weight)


def test_a_weight_with_two_names_and_two_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"differ, and are one weight in the model: tok\.weight"):
        tied(tmp_path, {"tok.weight": torch.randn(12, 8), "head.weight": torch.randn(12, 8)})


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions_are_taken_and_said(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in drawn().items()}
    write(tmp_path / "m.safetensors", tensors)
    run = program(spec('weights("m.safetensors")'))
    model = run.make_model()
    (note,) = open_start(run.options.start or {}, tmp_path).fill(model)
    assert f"they are {str(dtype)[6:]} there, and kept as float32" in note
    assert all(torch.equal(model.state_dict()[name], tensor.float()) for name, tensor in tensors.items())


def test_running_statistics_are_weights_too(tmp_path: Path) -> None:
    model = """
model Net: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  conv: Conv2d(4, kernel = 3) -> norm: BatchNorm -> relu -> flatten -> head: Linear(10)
}
"""
    run = program(spec('weights("m.safetensors")', model))
    tensors = {name: torch.rand_like(t.float()).to(t.dtype) for name, t in run.make_model().state_dict().items()}
    tensors["norm.num_batches_tracked"] = torch.tensor(7)
    write(tmp_path / "m.safetensors", tensors)
    assert all(torch.equal(t, tensors[name]) for name, t in started(run, tmp_path).state_dict().items())
    del tensors["norm.running_mean"]
    write(tmp_path / "m.safetensors", tensors)
    with pytest.raises(Refused, match=r"in the model and not found: norm\.running_mean \[4\]"):
        started(run, tmp_path)


# --- what does not fit -----------------------------------------------------------------------------------------------


def test_names_are_told_on_both_sides_with_the_nearest_and_shapes(tmp_path: Path) -> None:
    tensors = {name.replace("mlp", "mpl").replace("blocks", "layers"): tensor for name, tensor in drawn().items()}
    said = refusal(tmp_path, 'weights("m.safetensors")', tensors)
    assert said.startswith("m.safetensors does not fit the model:\n")
    near = r"layers\.0\.mpl\.up\.weight \[12, 16\] of the file"
    assert re.search(
        rf"in the model and not found: blocks\.\*\.mlp\.up\.weight \[12, 16\] \(2 of them\); .*{near}", said
    )
    assert "in the file and not used: layers.*.mpl.up.weight [12, 16] (2 of them); near to it is" in said
    assert "Name in `map` what is called otherwise" in said


def test_more_in_the_file_than_in_the_model(tmp_path: Path) -> None:
    said = refusal(tmp_path, 'weights("m.safetensors")', drawn() | {"classifier.weight": torch.zeros(3, 16)})
    assert "in the file and not used: classifier.weight [3, 16]" in said
    assert '`skip = ["classifier"]` leaves it out' in said


def test_less_in_the_file_than_in_the_model(tmp_path: Path) -> None:
    tensors = {name: tensor for name, tensor in drawn().items() if not name.startswith("head")}
    said = refusal(tmp_path, 'weights("m.safetensors")', tensors)
    assert "in the model and not found: head.weight [10, 16]" in said
    assert "`skip = [head]` keeps what it is drawn with" in said


@pytest.mark.parametrize(
    ("start", "change", "says"),
    [
        ("", {"stem.weight": (64, 16)}, "`-> transpose ->` in its entry of `map` turns it"),
        ("", {"head.bias": (1, 10)}, "`-> reshape ->` in its entry of `map` does that"),
        ("", {"head.bias": (11,)}, "head.bias [11] of the file is not head.bias [10] of the model"),
        (
            ', map = ["x" -> transpose -> "stem.weight"]',
            {"x": (16, 64)},
            "x [16, 64] of the file transposed is not stem",
        ),
        (', map = ["x" -> transpose -> "stem.weight"]', {"x": (1, 16, 64)}, "`transpose` turns matrices"),
        (', map = ["x" -> reshape -> "stem.weight"]', {"x": (3, 5)}, "x has 15 numbers in the file, [3, 5]"),
        (
            ', map = ["x" -> ["stem.weight", "head.weight"]]',
            {"x": (26, 64)},
            "x [26, 64] of the file is not stem.weight [16, 64] and head.weight [10, 16] of the model",
        ),
        (
            ', map = [["x", "y"] -> "stem.weight"]',
            {"x": (8, 64), "y": (9, 64)},
            "x [8, 64] and y [9, 64] of the file is not stem.weight [16, 64] of the model",
        ),
        (', map = [["x", "y"] -> "stem.weight"]', {"x": (8, 64)}, "x is joined with y, which the file has not"),
    ],
)
def test_a_wrong_shape(tmp_path: Path, start: str, change: dict[str, tuple[int, ...]], says: str) -> None:
    taken = {"stem.weight"} if "stem.weight" in start else set()
    taken |= {"head.weight"} if "head.weight" in start else set()
    tensors = {name: t for name, t in drawn().items() if name not in taken} | drawn(change)
    assert says in refusal(tmp_path, f'weights("m.safetensors"{start})', tensors)


def test_an_entry_or_a_skip_that_names_nothing_is_told(tmp_path: Path) -> None:
    said = refusal(
        tmp_path, 'weights("m.safetensors", map = ["block.*.mlp" -> "blocks.*.mlp"], skip = ["hed"])', drawn()
    )
    assert "`map` names `block.*.mlp`, and the file has nothing of that name; near to it is blocks.*.mlp" in said
    assert "`skip` names `hed`, and neither the file nor the model has it" in said


def test_an_entry_that_others_leave_nothing_of_is_told(tmp_path: Path) -> None:
    tensors = {name.replace("head", "out"): tensor for name, tensor in drawn().items()}
    start = (
        'weights("m.safetensors", map = ["out" -> "blocks", "out.weight" -> "head.weight", "out.bias" -> "head.bias"])'
    )
    assert "`map` names `out`, and longer names of the map take all of it" in refusal(tmp_path, start, tensors)


def test_an_entry_that_skip_leaves_nothing_of_is_told(tmp_path: Path) -> None:
    tensors = drawn() | {"fc.weight": torch.zeros(3)}
    said = refusal(tmp_path, 'weights("m.safetensors", map = ["fc" -> "head"], skip = ["fc"])', tensors)
    assert "`map` names `fc`, and `skip` leaves all of it out" in said


def test_a_matrix_of_several_that_lies_the_other_way_round(tmp_path: Path) -> None:
    inner = {name: t for name, t in drawn().items() if not re.match(r"blocks\.\d\.mlp\.up", name)}
    both = {"both.0.weight": torch.zeros(16, 24), "both.0.bias": torch.zeros(24)}
    start = 'weights("m.safetensors", map = ["both.0" -> ["blocks.0.mlp.up", "blocks.1.mlp.up"]])'
    said = refusal(tmp_path, start, inner | both)
    assert "both.0.weight [16, 24] of the file is not blocks.0.mlp.up.weight [12, 16] and blocks.1" in said
    assert "`-> transpose ->` in its entry of `map` turns it" in said


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    tensors = drawn() | {"head.weight": torch.zeros(10, 16, dtype=torch.int8)}
    said = refusal(tmp_path, 'weights("m.safetensors")', tensors)
    assert "head.weight is I8 in the file, and head.weight is float32 in the model" in said


@pytest.mark.parametrize("number", [math.nan, math.inf, 1e39], ids=str)
def test_weights_that_are_not_finite_are_refused_before_a_step(tmp_path: Path, number: float) -> None:
    """3e38 is a float32 yet."""
    head = torch.zeros(10, 16, dtype=torch.float64)
    head[3, 5] = 3e38
    state = start_from(tmp_path, 'weights("m.safetensors")', drawn() | {"head.weight": head})
    assert state["head.weight"][3, 5] == torch.tensor(3e38)
    head[4, 7] = head[9, 0] = number
    said = refusal(tmp_path, 'weights("m.safetensors")', drawn() | {"head.weight": head})
    facts = "head.weight of m.safetensors holds numbers that are not finite as float32: 2 of them"
    assert said.splitlines()[0] == f"{facts}, the first at [4, 7] of head.weight"
    assert "leave it out with `skip`" in said
    kept = start_from(tmp_path, 'weights("m.safetensors", skip = [head])')
    assert kept["head.weight"].isfinite().all()


# --- files -----------------------------------------------------------------------------------------------------------


def parts(folder: Path, tensors: dict[str, Tensor]) -> Path:
    """Weights in two files with an index."""
    names = sorted(tensors)
    places = {name: f"model-0000{1 + (i % 2)}-of-00002.safetensors" for i, name in enumerate(names)}
    for part in set(places.values()):
        save_file({name: tensors[name] for name in names if places[name] == part}, folder / part)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return index


@pytest.mark.parametrize("source", ["model.safetensors.index.json", "."])
def test_parts_with_an_index_are_one_file(tmp_path: Path, source: str) -> None:
    parts(tmp_path, drawn())
    state = start_from(tmp_path, f'weights("{source}")')
    assert all(torch.equal(state[name], tensor) for name, tensor in drawn().items())
    assert len(open_weights(tmp_path / source, source).hashes) == 2


def test_a_part_that_is_missing_and_one_that_is_astray(tmp_path: Path) -> None:
    index = parts(tmp_path, drawn())
    part = tmp_path / "model-00002-of-00002.safetensors"
    kept = part.read_bytes()
    part.unlink()
    assert "model-00002-of-00002.safetensors is missing" in refusal(tmp_path, f'weights("{index.name}")')
    part.write_bytes(save({"other": torch.zeros(1)}))
    assert "does not go with the parts beside it" in refusal(tmp_path, f'weights("{index.name}")')
    part.write_bytes(kept)
    index.write_text(json.dumps({"weight_map": {"a": "../outside.safetensors"}}))
    assert "is no index of weights in parts" in refusal(tmp_path, f'weights("{index.name}")')
    index.write_text("{")
    assert "is no index of weights in parts" in refusal(tmp_path, f'weights("{index.name}")')


def test_what_is_no_safetensors(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    start = 'weights("m.safetensors")'
    assert "m.safetensors is not there" in refusal(tmp_path, start)
    write(file, drawn())
    whole = file.read_bytes()
    for content in (whole[:-9], whole[:100], b"", b"{}", b"\xff" * 64):
        file.write_bytes(content)
        said = refusal(tmp_path, start)
        assert "cannot be read as safetensors" in said and "Copy it again" in said
    torch.save(drawn(), file)
    assert "is what torch.save writes, whatever its name says" in refusal(tmp_path, start)


def test_a_folder_with_a_pickle_only(tmp_path: Path) -> None:
    (tmp_path / "gpt").mkdir()
    torch.save(drawn(), tmp_path / "gpt" / "pytorch_model.bin")
    said = refusal(tmp_path, 'weights("gpt")')
    assert "it has pytorch_model.bin, which is a pickle" in said and "save_file" in said
