"""Momentum copies: made equal to their module, never trained, following it after each update."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import dlspec
from dlspec.api.compilation import program_of
from dlspec.compiler.backends.onnx.parameters import parameters
from dlspec.compiler.pipeline import analyse, compile
from dlspec.grammar import Source
from dlspec.runtime import Program, train, verify_resume
from dlspec.runtime.checkpoint import tensors_of
from dlspec.runtime.data import open_data
from dlspec.runtime.evaluation import load_model
from dlspec.runtime.order import Order

SLOW = """\
dlspec 1
rate = 0.9
model Slow: (image: [B, 1, 8, 8]) -> (logits: [B, 10], slow: [B, 10]) {
  flatten as x
  x -> net: { Linear(16) -> BatchNorm -> relu -> head: Linear(10) } as logits
  x -> momentum_copy(net, rate) as slow
}
train Slow {
  data      = digits
  loss      = cross_entropy(logits, data.label) + 0.1 * mse(logits, slow)
  optimizer = SGD(lr = 1e-1)
  steps     = 4
  batch     = 32
}
"""


def program(text: str = SLOW, *overrides: str) -> Program:
    return program_of(compile(Source("slow.dlspec", text), overrides))


def trained(program: Program, folder: Path) -> nn.Module:
    train(program, folder, folder / "run", device="cpu")
    return load_model(program, folder / "run")


def test_a_copy_begins_as_its_module_and_does_not_learn() -> None:
    model = program().make_model()
    slow = model.get_submodule("net_momentum").state_dict()
    for name, tensor in model.get_submodule("net").state_dict().items():
        assert torch.equal(tensor, slow[name]), name
    assert not any(p.requires_grad for p in model.get_submodule("net_momentum").parameters())
    assert all(p.requires_grad for p in model.get_submodule("net").parameters())


def test_training_is_that_of_a_loop_written_by_hand(tmp_path: Path) -> None:
    """In float64 beside it, with the copy's weights as their closed form: a weighted sum of all that its module's were.
    The copy's running statistics are those of the batches that it saw itself."""
    slow = program()
    ours = trained(slow, tmp_path)
    model = slow.make_model()
    net = model.get_submodule("net").double()
    twin = copy.deepcopy(net)
    histories = {name: [p.detach().clone()] for name, p in net.named_parameters()}
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-1)
    data = open_data(dict(slow.options.data), base=tmp_path, seed=0)
    order = Order(0, len(data.train), 32)
    for step in range(4):
        batch = data.train.batch(*order.batch_of(step))
        x = batch["image"].double().flatten(1)
        logits, other = net(x), twin(x)
        loss = F.cross_entropy(logits, batch["label"]) + 0.1 * F.mse_loss(logits, other)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for (name, own), kept in zip(net.named_parameters(), twin.parameters(), strict=True):
                histories[name].append(own.detach().clone())
                first, *later = histories[name]
                weights = [0.1 * 0.9 ** (len(later) - i) for i in range(1, len(later) + 1)]
                summed = 0.9 ** len(later) * first
                for weight, value in zip(weights, later, strict=True):
                    summed = summed + weight * value
                kept.copy_(summed)
    for mine, theirs in (("net", net), ("net_momentum", twin)):
        expected = theirs.state_dict()
        for name, tensor in ours.get_submodule(mine).state_dict().items():
            torch.testing.assert_close(tensor.double(), expected[name].double(), rtol=2e-5, atol=2e-6)
    assert not torch.equal(
        ours.get_submodule("net").get_buffer("batch_norm.running_mean"),
        ours.get_submodule("net_momentum").get_buffer("batch_norm.running_mean"),
    )


@pytest.mark.slow
def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    verify_resume(program(SLOW, "train.validate=every(2)"), tmp_path, 4, device="cpu")


PHASES = SLOW.replace("  loss      = cross_entropy(logits, data.label) + 0.1 * mse(logits, slow)\n", "").replace(
    "  batch     = 32\n",
    """\
  batch     = 32
  phase learn {
    update = [net]
    loss   = cross_entropy(logits, data.label)
  }
  phase agree {
    update = [net.head]
    loss   = mse(logits, slow)
    times  = 2
  }
""",
)


def test_with_phases_a_copy_follows_once_a_step(tmp_path: Path) -> None:
    twice = program(PHASES, "train.steps=1")
    before = tensors_of(twice.make_model())
    after = tensors_of(trained(twice, tmp_path))
    for name, tensor in after.items():
        if name.startswith("net.") and "num" not in name and "running" not in name:
            slow = name.replace("net.", "net_momentum.")
            expected = 0.9 * before[name] + 0.1 * tensor
            torch.testing.assert_close(after[slow], expected, rtol=1e-5, atol=1e-7)
    assert int(after["net_momentum.batch_norm.num_batches_tracked"]) == 2, "in the one phase that runs it, twice"


@pytest.mark.slow
def test_with_phases_a_restart_changes_nothing(tmp_path: Path) -> None:
    verify_resume(program(PHASES), tmp_path, 4, device="cpu")


SHARED = SLOW.replace(
    "net: { Linear(16) -> BatchNorm -> relu -> head: Linear(10) }",
    "net: { Linear(10) -> BatchNorm -> part: { a: Linear(10) -> relu -> head: Linear(10, weight = a.weight) } }",
)


@pytest.mark.slow
def test_what_is_shared_inside_a_module_is_shared_inside_its_copy(tmp_path: Path) -> None:
    """Also where the memory of a model has been given to it after it was made, which parts them."""
    part = program(SHARED).make_model().get_submodule("net_momentum.part")
    assert part.get_parameter("a.weight") is part.get_parameter("head.weight")
    verify_resume(program(SHARED), tmp_path, 2, device="cpu")


MOCO = """\
dlspec 1
model Encoder: (image: [B, 1, 8, 8]) -> (code: [B, 8]) {
  Conv2d(4, kernel = 3) -> BatchNorm -> relu -> flatten -> Linear(8)
}
model MoCo: (view1: [B, 1, 8, 8], view2: [B, 1, 8, 8]) -> (query: [B, 8], key: [B, 8]) {
  view1 -> encoder: Encoder as query
  view2 -> momentum_copy(encoder, 0.9) as key
}
train MoCo {
  data      = digits -> two_views(random_crop(8, pad = 1))
  loss      = info_nce(query, key, queue = 64, temperature = 0.2)
  optimizer = SGD(lr = 0.03, momentum = 0.9)
  steps     = 4
  batch     = 24
}
export Encoder { onnx("encoder.onnx") }
"""


@pytest.mark.slow
def test_copy_and_queue_come_back_from_a_restart(tmp_path: Path) -> None:
    verify_resume(program(MOCO, "train.validate=every(2)"), tmp_path, 6, device="cpu")


def test_the_encoder_of_a_contrastive_model_is_exported_by_its_name(tmp_path: Path) -> None:
    spec = tmp_path / "moco.dlspec"
    spec.write_text(MOCO)
    report = dlspec.export(dlspec.train(spec, tmp_path / "run").run, tmp_path / "out")
    assert list(report["files"]) == ["encoder.onnx"] and report["files"]["encoder.onnx"]["proof"]["ok"]


def test_copies_inside_copies_are_updated_by_those_around_them() -> None:
    text = """\
dlspec 1
model M: (x: [B, 8]) -> (y: [B, 8]) {
  blocks: repeat(2) {
    fc: Linear(8)
    slow: momentum_copy(fc, 0.5) -> tanh
  }
}
"""
    code = compile(Source("m.dlspec", text)).model_code
    assert "        for block in self.blocks:\n            block.update_copies()\n" in code
    assert "            copy.lerp_(own, 1 - 0.5)\n" in code


def test_the_checkpoint_has_all_of_a_copy() -> None:
    graph = analyse(Source("slow.dlspec", SLOW)).graphs["Slow"]
    keys = parameters(graph).shapes
    model = {"linear.weight", "linear.bias", "head.weight", "head.bias"} | {
        f"batch_norm.{one}" for one in ("weight", "bias")
    }
    assert {f"net_momentum.{key}" for key in model} < set(keys)
    assert {f"net_momentum.batch_norm.running_{one}" for one in ("mean", "var")} < set(keys)


@pytest.mark.slow
def test_it_is_exported_with_proof(tmp_path: Path) -> None:
    spec = tmp_path / "slow.dlspec"
    spec.write_text(SLOW)
    dlspec.train(spec, run=tmp_path / "run")
    formats = ["onnx"] if sys.version_info >= (3, 14) else ["onnx", "torchscript"]
    dlspec.export(tmp_path / "run", tmp_path / "out", formats=formats)
    assert (tmp_path / "out" / "slow.onnx").is_file(), "written, and so proved"
