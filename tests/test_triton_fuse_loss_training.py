"""Models that compute the loss of their last Linear, as they are used: in parallel, with hooks, trained, resumed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from loss_models import COUNTS, HEADS, OPTIONS, batch, drawn, gradients, hold_training, spec, with_function
from torch import Tensor, nn
from triton_files import always, compiled, loaded
from triton_templates import interpreting

import dlspec
from dlspec.runtime.program import load_text

# Of the interpreter's numpy: exponentials of what lies below all numbers, where PyTorch and Triton say nothing.
pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp"])
def test_in_parallel(sharded: bool, tmp_path: Path) -> None:
    """The loss comes out of `forward`, where gradients are gathered and weights put together, of the head too."""
    for name, text in compiled(spec(HEADS["without bias"])).files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    program = f"""\
import gc, sys, torch, torch.distributed as dist, net
from torch.nn.parallel import DistributedDataParallel
from torch.distributed.fsdp import fully_shard
rank = int(sys.argv[1])
def learn():
    model, alone = net.Lm(), net.Lm()
    for one in (model, alone):
        one.init_weights(torch.Generator().manual_seed(0))
    tokens, targets = torch.arange(64).view(2, 2, 16)[rank], torch.arange(1, 65).view(2, 2, 16)[rank] % 256
    if {sharded}:
        mesh = dist.device_mesh.init_device_mesh("cpu", (2,))
        fully_shard(model.head, mesh=mesh)
        fully_shard(model, mesh=mesh)
    else:
        model = DistributedDataParallel(model)
    model(tokens, targets=targets).backward()
    alone(tokens, targets=targets).backward()
    for a, b in zip(model.parameters(), alone.parameters()):
        dist.all_reduce(b.grad)
        found = a.grad.full_tensor() if {sharded} else a.grad
        torch.testing.assert_close(found, b.grad / 2)
dist.init_process_group("gloo", init_method="file://{tmp_path}/rendezvous", rank=rank, world_size=2)
learn()
# What still holds the group when Python ends would abort it: its threads run on.
gc.collect()
dist.barrier()
dist.destroy_process_group()
"""
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(rank)], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for process in started:
        _, told = process.communicate(timeout=240)
        assert process.returncode == 0, told


def doubled(_: nn.Module, x: Any, logits: Tensor) -> Tensor:
    return 2 * logits


def halved(_: nn.Module, x: tuple[Tensor]) -> tuple[Tensor]:
    return (x[0] / 2,)


AROUND = {
    "what comes out": lambda head: head.register_forward_hook(doubled),
    "what comes in": lambda head: head.register_forward_pre_hook(halved),
    "a gradient": lambda head: head.register_full_backward_hook(lambda _, d_x, d_y: (2 * d_x[0],)),
    "in its place": lambda head: setattr(head, "forward", lambda x: 2 * F.linear(x, head.weight, head.bias)),
}


@pytest.mark.slow
@pytest.mark.parametrize("text", [spec(options=OPTIONS["all"]), "a function"], ids=["options", "a function"])
@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "plain forms"])
@pytest.mark.parametrize("put", AROUND.values(), ids=AROUND.keys())
def test_hooks_of_the_head_see_logits(put: Any, kernels: bool, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the Linear: what is behind it comes after them."""
    text = with_function("soft cap") if text == "a function" else text
    plain = compiled(text, "torch")
    module, written = loaded(compiled(text))
    first, second = drawn(load_text("net", plain.model_code)), drawn(module)
    for model in (first, second):
        put(model.head)
    if kernels:
        monkeypatch.setattr(written, "fused", always)
    recipe = load_text("net_recipe", plain.recipe_code or "")
    tokens, targets = batch()
    assert torch.equal(first(tokens), second(tokens))
    want = gradients(first, recipe.loss(first(tokens), targets))
    for a, b in zip(want, gradients(second, second(tokens, targets=targets)), strict=True):
        torch.testing.assert_close(b, a, atol=1e-4, rtol=1e-4)


MORE = {
    "bf16": "  precision = bf16\n",
    "in parts": "  accumulate = 2\n  clip = 0.1\n  metrics = [accuracy(logits, data.targets)]\n",
}


@pytest.mark.parametrize("options", [OPTIONS["weights"], OPTIONS["all"]], ids=["weights", "all"])
def test_trained_by_what_classes_count(options: str, tmp_path: Path) -> None:
    """In parts, with weights that each loads of the other: the same bits as without kernels."""
    (tmp_path / "a.txt").write_text("To be, or not to be, that is the question. " * 40, encoding="utf-8")
    path = tmp_path / "lm.dlspec"
    path.write_text(spec(HEADS["tied"], options, "  accumulate = 2\n"), encoding="utf-8")
    losses, models = [], []
    for kernels in ("triton", "torch"):
        folder = tmp_path / kernels
        dlspec.train(path, run=folder, set=[f"train.kernels={kernels}"])
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        losses.append([record["loss"] for record in records])
        models.append(dlspec.load(folder))
    first, second = (dict(model.state_dict()) for model in models)
    assert losses[0] == losses[1]
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)
    for model, other in zip(models, (second, first), strict=True):
        model.load_state_dict(other, strict=True)
    assert torch.equal(models[0].head.class_weights, torch.tensor(COUNTS))  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize("more", MORE.values(), ids=MORE.keys())
def test_trained_resumed_and_exported_without_a_gpu(more: str, tmp_path: Path) -> None:
    """The same losses as without kernels, bit for bit, in training and validation."""
    hold_training(spec(HEADS["tied"], ", smoothing = 0.1", more), tmp_path)
