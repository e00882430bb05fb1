"""The proof against ONNX graphs written by hand: it passes what is right, and a planted fault never."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from proof_graphs import (
    DIGITS_META,
    TINY_META,
    digits_graph,
    flip_one_weight,
    proof_of,
    saved,
    shaken_by,
    tiny,
    tiny_graph,
    trained_digits,
)
from torch import nn

from dlspec.runtime.errors import ProofFailed, Refused
from dlspec.runtime.export import check_onnx, initial_looking, perturbed, prove
from dlspec.runtime.export.trials import random_inputs, trial_sizes
from dlspec.runtime.metadata import Metadata
from dlspec.runtime.settings import Port
from dlspec.runtime.torch_session import TorchSession


@pytest.fixture
def digits() -> nn.Module:
    return trained_digits()


# --- what is right passes


def test_digits_are_proved(digits: nn.Module, tmp_path: Path) -> None:
    exported = digits_graph(digits)
    facts = check_onnx(saved(exported, tmp_path), DIGITS_META)
    assert facts == {"opset": 23, "ir_version": 10, "nodes": 6, "values": 6}
    proof = proof_of(digits, exported, DIGITS_META, tmp_path)
    proof.require("model.onnx")
    (stage,) = proof.stages
    assert [one.sizes for one in stage.comparisons] == ["B=1", "B=3", "B=17", "B=256"]
    for one in stage.comparisons:
        assert one.difference <= one.allowed == pytest.approx(4 * one.torch_difference + 1e-5 * one.scale)
        assert 0 < one.allowed < 1e-3
    assert stage.greedy is None
    assert proof.worst() in stage.comparisons


def test_a_language_model_is_proved_with_what_it_writes(tmp_path: Path) -> None:
    model = tiny()
    exported = tiny_graph(model)
    check_onnx(saved(exported, tmp_path), TINY_META)
    proof = proof_of(model, exported, TINY_META, tmp_path)
    proof.require("model.onnx")
    (stage,) = proof.stages
    assert [one.sizes for one in stage.comparisons] == ["B=1 T=1", "B=1 T=40", "B=3 T=40", "B=2 T=5", "B=17 T=33"]
    assert stage.greedy is not None and stage.greedy.steps == 64
    assert stage.greedy.decisive == stage.greedy.equal > 50


def test_the_first_shapes_are_those_that_were_promised() -> None:
    open_ended = Metadata("", "", TINY_META.inputs, TINY_META.outputs)
    assert [(sizes["B"], sizes["T"]) for sizes in trial_sizes(open_ended)][:3] == [(1, 1), (1, 77), (3, 128)]


@pytest.mark.parametrize(
    ("inputs", "limits", "count"),
    [
        ((Port("x", "float", (1, 3)),), {}, 5),
        ((Port("x", "float", ("B", 3, "16 * H", "16 * W")),), {}, 5),
        ((Port("a", "int", ("B", "S")), Port("b", "int", ("B", "T")), Port("m", "bool", ("B", "S"))), {"S": 100}, 6),
    ],
)
def test_trials_of_other_models(inputs: tuple[Port, ...], limits: dict[str, int], count: int) -> None:
    metadata = Metadata("", "", inputs, (), limits)
    trials = trial_sizes(metadata)
    assert len(trials) == count
    for turn, sizes in enumerate(trials):
        arrays = random_inputs(metadata, sizes, {"a": 7, "b": 9}, turn)
        again = random_inputs(metadata, sizes, {"a": 7, "b": 9}, turn)
        for port in inputs:
            array = arrays[port.name]
            assert np.array_equal(array, again[port.name])
            if "H" in sizes:
                assert array.shape[2] == 16 * sizes["H"] <= 48 and array.size < 2e5
            if port.dtype == "int":
                assert array.min() >= 0 and array.max() < 9 and array.dtype == np.int64
            if port.dtype == "bool":
                assert array[:, 0].all()
        assert all(size <= limits.get(symbol, size) for symbol, size in sizes.items())
        if "S" in sizes and 0 < turn < 5:
            assert sizes["S"] != sizes["T"]
    if not trials[0]:
        values = [random_inputs(metadata, sizes, {}, turn)["x"] for turn, sizes in enumerate(trials)]
        assert not np.array_equal(values[0], values[1])


def test_int_inputs_need_a_range() -> None:
    metadata = Metadata("", "", (Port("label", "int", ("B",)),), ())
    with pytest.raises(Refused, match=r"which numbers the input label int\[B\] may have"):
        random_inputs(metadata, {"B": 1}, {}, 0)


# --- what is wrong does not


def poison_one_weight(model: onnx.ModelProto) -> None:
    tensor = next(one for one in model.graph.initializer if one.name == "head_bias")
    weights = numpy_helper.to_array(tensor).copy()
    weights[9] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))


def swap_two_biases(model: onnx.ModelProto) -> None:
    model.graph.node[1].input[2], model.graph.node[3].input[2] = "fc2_bias", "fc1_bias"


def forget_a_relu(model: onnx.ModelProto) -> None:
    model.graph.node[3].input[0] = "a"


def leave_out_a_batch_dim(model: onnx.ModelProto) -> None:
    shape = np.array([1, 64], np.int64)
    model.graph.node[0].CopyFrom(onnx.helper.make_node("Reshape", ["image", "shape"], ["x"]))
    model.graph.initializer.append(numpy_helper.from_array(shape, "shape"))


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (flip_one_weight, r"logits at B=256, weights as exported: \S+ off, \S+ allowed"),
        (poison_one_weight, "holds numbers that are not finite"),
        (swap_two_biases, "off, .* allowed"),
        (forget_a_relu, "off, .* allowed"),
        (leave_out_a_batch_dim, "logits at B=3, weights as exported: it does not run"),
    ],
)
def test_a_planted_fault_is_found(
    digits: nn.Module, tmp_path: Path, plant: Callable[[onnx.ModelProto], None], message: str
) -> None:
    exported = digits_graph(digits)
    plant(exported)
    proof = proof_of(digits, exported, DIGITS_META, tmp_path)
    assert not proof.ok and not proof.worst().ok
    with pytest.raises(ProofFailed, match=message) as fault:
        proof.require("model.onnx")
    assert fault.value.exit_code == 5


def test_any_one_weight_that_is_flipped_is_found(digits: nn.Module, tmp_path: Path) -> None:
    """Drawn at random from all of them; what escapes lies behind a unit that is silent, or is nearly zero."""
    draw = np.random.default_rng(0)
    shapes = {name.replace(".", "_"): weight.numel() for name, weight in digits.named_parameters()}
    found = 0
    for _ in range(60):
        name = str(draw.choice(list(shapes)))
        exported = digits_graph(digits)
        flip_one_weight(exported, name, int(draw.integers(shapes[name])))
        found += not proof_of(digits, exported, DIGITS_META, tmp_path).ok
    assert found >= 58


@pytest.mark.parametrize("shift", [1, -1])
def test_a_mask_that_is_off_by_one_is_found(tmp_path: Path, shift: int) -> None:
    model = tiny()
    proof = proof_of(model, tiny_graph(model, shift), TINY_META, tmp_path)
    with pytest.raises(ProofFailed, match="logits at B=1 T=40"):
        proof.require("model.onnx")


def test_other_words_are_found_where_numbers_are_close_enough() -> None:
    """A runner that is right at the shapes of the trials and wrong at others: what it writes gives it away."""
    session = TorchSession(TINY_META, tiny())
    tried = {(sizes["B"], sizes["T"]) for sizes in trial_sizes(TINY_META)}

    def run(feeds: Mapping[str, NDArray]) -> Mapping[str, NDArray]:
        outputs = session.run(feeds)
        return outputs if feeds["tokens"].shape in tried else {"logits": -outputs["logits"]}

    proof = prove(run, tiny(), TINY_META, step=5)
    assert all(one.ok for stage in proof.stages for one in stage.comparisons)
    with pytest.raises(ProofFailed, match=r"after 4 tokens it says \d+, not \d+"):
        proof.require("model.onnx")


def test_a_bound_is_no_excuse_for_a_model_that_is_not_finite(tmp_path: Path, digits: nn.Module) -> None:
    exported = digits_graph(digits)
    with torch.no_grad():
        digits.get_parameter("head.bias")[0] = math.inf
    proof = proof_of(digits, exported, DIGITS_META, tmp_path)
    with pytest.raises(ProofFailed, match="the trained model itself gives numbers that are not finite"):
        proof.require("model.onnx")


def test_outputs_that_are_missing_or_misshapen(digits: nn.Module) -> None:
    for outputs, message in (({}, "it is not there"), ({"logits": np.zeros((1, 9))}, r"its shape is \[1, 9\], not")):
        with pytest.raises(ProofFailed, match=message):
            prove(lambda feeds, outputs=outputs: outputs, digits, DIGITS_META, step=5).require("model.onnx")


# --- initial weights


def with_zero_biases(model: nn.Module) -> nn.Module:
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.get_parameter("fc1.bias").zero_()
        other.get_parameter("fc2.bias").zero_()
    return other


def test_initial_weights_prove_nothing_alone(digits: nn.Module, tmp_path: Path) -> None:
    exported = digits_graph(digits)
    with pytest.raises(Refused, match="nothing is proved with these weights: no step was trained"):
        proof_of(digits, exported, DIGITS_META, tmp_path, step=0)
    plain = with_zero_biases(digits)
    assert initial_looking(digits) == []
    assert initial_looking(plain) == ["fc1.bias is 0 throughout", "fc2.bias is 0 throughout"]
    with pytest.raises(Refused, match=r"fc1\.bias is 0 throughout"):
        proof_of(plain, digits_graph(plain), DIGITS_META, tmp_path)


def test_shaken_weights_find_what_initial_ones_hide(digits: nn.Module, tmp_path: Path) -> None:
    plain = with_zero_biases(digits)

    def swapped(model: nn.Module) -> onnx.ModelProto:
        exported = digits_graph(model)
        swap_two_biases(exported)
        return exported

    right = proof_of(plain, digits_graph(plain), DIGITS_META, tmp_path, shaken=shaken_by(digits_graph, tmp_path))
    right.require("model.onnx")
    assert [stage.weights for stage in right.stages] == ["exported", "shaken"]
    wrong = proof_of(plain, swapped(plain), DIGITS_META, tmp_path, shaken=shaken_by(swapped, tmp_path))
    assert wrong.stages[0].ok
    with pytest.raises(ProofFailed, match="logits at B=1, weights as shaken"):
        wrong.require("model.onnx")


def test_shaking_moves_everything_and_keeps_variances_positive() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    other = perturbed(model, 0)
    for (name, before), (_, after) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        assert (before != after).all(), name
    assert (other.get_buffer("1.running_mean") != 0).all()
    assert (other.get_buffer("1.running_var") != 1).all() and (other.get_buffer("1.running_var") > 0).all()
    again = perturbed(model, 0)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(other.parameters(), again.parameters(), strict=True))


# --- a file with part of the model


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.a(x), self.b(y)


@pytest.mark.parametrize("fault", [False, True])
def test_a_file_of_one_output_is_compared_with_that_output(fault: bool) -> None:
    model = perturbed(TwoHeads(), 0)
    x, y = Port("x", "float", ("B", 3)), Port("y", "float", ("B", 3))
    a, b = Port("a", "float", ("B", 2)), Port("b", "float", ("B", 4))
    weight, bias = (model.get_parameter(f"b.{name}").detach().numpy() for name in ("weight", "bias"))

    def run(feeds: Mapping[str, NDArray]) -> Mapping[str, NDArray]:
        assert feeds.keys() == {"y"}
        return {"b": feeds["y"] @ weight.T + (0 if fault else bias)}

    proof = prove(run, model, Metadata("", "", (y,), (b,)), step=1, whole=Metadata("", "", (x, y), (a, b)))
    assert {one.output for one in proof.stages[0].comparisons} == {"b"}
    assert proof.ok != fault
