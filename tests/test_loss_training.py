"""Losses in a training: parts of a batch come to the whole batch, and what a loss keeps is there again after a stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runtime_cases import metrics, newest, same_weights
from torch import Tensor, nn
from training_cases import read, spec

from dlspec.compiler.pipeline import analyse, compile
from dlspec.grammar import Source
from dlspec.runtime import Program, Refused, evaluate, load_model, resume, train
from dlspec.runtime.isolation import borrow
from dlspec.runtime.learner import Learner
from dlspec.runtime.preparation import wanted

ROWS = 48
PAIR = """\
dlspec 1
model Net: (x: [B, 4]) -> (query: [B, 8], key: [B, 8]) {
  x -> a: Linear(8) as query
  x -> b: Linear(8) as key
}
"""
SCORES = """\
dlspec 1
model Net: (x: [B, 4]) -> (output: [B, 3]) {
  Linear(8) -> gelu -> head: Linear(3)
}
"""
WORDS = """\
dlspec 1
model Net: (words: int[B, 5]) -> (logits: [B, 5, 6]) {
  Embedding(6, 8) -> Linear(6)
}
"""
EACH = """\
dlspec 1
model Net: (x: [B, 4]) -> (output: [B, 3], mean: [B, 2], spread: [B, 2]) {
  x -> Linear(3) as output
  x -> m: Linear(2) as mean
  x -> s: Linear(2) as spread
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data that the specs read, and where runs lie."""
    random = np.random.default_rng(0)
    words = random.integers(0, 6, (ROWS, 5))
    targets = np.where(random.random((ROWS, 5)) < 0.4, -100, random.integers(0, 6, (ROWS, 5)))
    np.savez(
        tmp_path / "x.npz",
        x=random.normal(size=(ROWS, 4)).astype(np.float32),
        y=random.integers(0, 3, ROWS),
        z=random.normal(size=(ROWS, 3)).astype(np.float32),
        words=words,
        targets=targets,
    )
    return tmp_path


def program(model: str, loss: str, **lines: str | None) -> Program:
    changes: dict[str, str | None] = {"loss": loss, "batch": "8", "steps": "12", **lines}
    made = compile(Source("net.dlspec", spec("table", changes, model)))
    assert made.recipe_code is not None and made.settings is not None
    return Program(made.name, made.model_code, made.recipe_code, made.settings, made.imported)


# --- what is kept ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("queue", ["8", "20", "64"])
def test_a_queue_goes_on_where_it_stood(folder: Path, queue: str) -> None:
    """Before it is full, and when its keys have been replaced; validation takes none in."""
    made = program(
        PAIR,
        f"info_nce(query, key, queue = {queue})",
        validate="every(2)",
        checkpoint="every(5)",
        optimizer="AdamW(0.01)",
    )
    train(made, folder, folder / "whole")
    train(made, folder, folder / "parts", until=3)
    resume(made, folder / "parts", until=7)
    resume(made, folder / "parts")
    assert same_weights(folder / "whole", folder / "parts")
    kept = [(newest(folder / run) / "loss.safetensors").read_bytes() for run in ("whole", "parts")]
    assert kept[0] == kept[1]
    assert metrics(folder / "whole") == metrics(folder / "parts")
    assert evaluate(made, folder / "whole") == {"loss": metrics(folder / "whole")[-1]["loss"]}


def test_a_queue_of_another_size_is_refused(folder: Path) -> None:
    train(program(PAIR, "info_nce(query, key, queue = 20)"), folder, folder / "run", until=2)
    for loss, here in (
        ("info_nce(query, key, queue = 32)", "key_queue.keys [32, 8]"),
        ("nt_xent(query, key)", "nothing"),
    ):
        with pytest.raises(Refused, match=r"in the checkpoint") as told:
            resume(program(PAIR, loss), folder / "run")
        assert f"from batch to batch is {here}" in told.value.message
        assert "key_queue.keys [20, 8]" in told.value.message


def test_a_queue_holds_the_last_keys() -> None:
    """Against a list: the oldest are replaced first, and no gradient goes to what is kept."""
    made = program(PAIR, "info_nce(query, key, queue = 20, temperature = 0.5)")
    kept = made.make_loss_state()
    queue: Any = kept.get_submodule("key_queue")
    before: list[Tensor] = []
    query = key = torch.empty(0)
    for step in range(6):
        generator = torch.Generator().manual_seed(step)
        query, key = (torch.randn(8, 8, generator=generator, requires_grad=True) for _ in range(2))
        found = made.recipe.loss(query, key, queue)
        unit = nn.functional.normalize(query, dim=-1), nn.functional.normalize(key, dim=-1)
        own = (unit[0] * unit[1]).sum(-1, keepdim=True)
        others = torch.stack(before[-20:]) if before else torch.zeros(0, 8)
        cosines = torch.cat([own, unit[0] @ others.T], dim=-1) / 0.5
        torch.testing.assert_close(found, (cosines.logsumexp(-1) - cosines[:, 0]).mean())
        before += list(unit[1].detach())
    queue.eval()
    state = queue.keys.clone()
    made.recipe.loss(query, key, queue)
    assert torch.equal(queue.keys, state)


# --- parts of a batch ------------------------------------------------------------------------------------------------

WEIGHTS = "weight = [0.2, 3, 1]"
LOSSES = [
    (SCORES, f"cross_entropy(output, data.y, {WEIGHTS})"),
    (SCORES, f"cross_entropy(output, data.y, {WEIGHTS}, smoothing = 0.1, z_loss = 0.01)"),
    (SCORES, f"focal(output, data.y, {WEIGHTS})"),
    (SCORES, "hinge(output, data.y)"),
    (SCORES, "mse(output, data.z, reduce = sum) + 0.01 * l1(weights)"),
    (SCORES, 'cosine(output, data.z) + 0.01 * l1(head) + 0.01 * l1("h*d")'),
    (WORDS, "cross_entropy(logits, data.targets, ignore = 3)"),
    (WORDS, "cross_entropy(logits, data.targets, reduce = sum, z_loss = 0.01)"),
    (WORDS, "cross_entropy(logits, data.targets, weight = [1, 2, 3, 4, 5, 6])"),
    (WORDS, "focal(logits, data.targets)"),
    (EACH, "mse(output, data.z, reduce = sum) + kl_normal(mean, spread)"),
    (EACH, "cross_entropy(output, data.y) + kl_normal(mean, spread)"),
]


@pytest.mark.parametrize(("model", "loss"), LOSSES)
def test_parts_of_a_batch_come_to_the_batch(folder: Path, model: str, loss: str) -> None:
    gradients = []
    for accumulate in ("1", "4"):
        made = program(model, loss, accumulate=accumulate)
        with borrow(wanted(made, torch.device("cpu"))) as turn:
            learner = Learner(made, torch.device("cpu"))
            arrays = np.load(folder / "x.npz")
            batch = {name: torch.from_numpy(arrays[name][:8]) for name in arrays.files}
            found = learner.compute_gradients(turn, batch, 0)
            gradients.append((found.loss, [p.grad.clone() for p in learner.parameters if p.grad is not None]))
    (loss_1, whole), (loss_4, parts) = gradients
    assert loss_4 == pytest.approx(loss_1, rel=1e-5)
    assert len(whole) == len(parts) > 0
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(other, one, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("loss", ["nt_xent(query, key)", "info_nce(query, key)", "info_nce(query, key, queue = 64)"])
def test_a_loss_of_pairs_takes_no_parts(loss: str) -> None:
    found = read(spec("table", {"loss": loss, "accumulate": "2"}, PAIR))
    assert found.codes == ["conflict"]
    assert "examples of the whole batch" in found.diagnostics[0].message
    assert not read(spec("table", {"loss": loss}, PAIR)).diagnostics


def test_means_over_different_things_take_no_parts() -> None:
    loss = f"cross_entropy(output, data.y, {WEIGHTS}) + kl_normal(mean, spread)"
    found = read(spec("table", {"loss": loss, "accumulate": "2"}, EACH))
    assert found.codes == ["conflict"]
    assert "as much as the classes of its targets in `cross_entropy`" in found.diagnostics[0].message
    assert not read(spec("table", {"loss": loss}, EACH)).diagnostics


def test_a_queue_has_room_for_a_batch() -> None:
    found = read(spec("table", {"loss": "info_nce(query, key, queue = 4)"}, PAIR))
    assert found.codes == ["conflict"] and found.diagnostics[0].help == "write `queue = 8` or more"
    twice = "info_nce(query, key, queue = 16) + info_nce(query, key, queue = 32)"
    assert read(spec("table", {"loss": twice}, PAIR)).codes == ["conflict"]


def test_l1_is_one_of_the_weights_that_are_named() -> None:
    made = program(SCORES, 'cosine(output, data.z) + 0.1 * l1(weights) + 10 * l1(head) + 1_000 * l1("h*d")')
    model = made.make_model()
    output = torch.randn(4, 3)
    cosine = (1 - nn.functional.cosine_similarity(output, -output, dim=-1)).mean()
    sizes = {name: p.abs().sum() for name, p in model.named_parameters()}
    head = sizes["head.weight"] + sizes["head.bias"]
    found = made.recipe.loss(output, -output, model)
    torch.testing.assert_close(found, cosine + 0.1 * sum(sizes.values()) + 1010 * head)


def test_bf16_leaves_the_loss_in_float32(folder: Path) -> None:
    """What a model says in 16 bits is made float32 before any loss sees it."""
    made = program(PAIR, "nt_xent(query, key) + triplet(query, key, key)", precision="bf16")
    with borrow(wanted(made, torch.device("cpu"))):
        learner = Learner(made, torch.device("cpu"))
        values = learner.values_of({"x": torch.randn(8, 4)})
        assert values["output.query"].dtype == torch.bfloat16
        found = learner.loss_of(values, learner.options.phases[0])
        assert found.dtype == torch.float32
        exact = made.recipe.loss(values["output.query"].double(), values["output.key"].double())
        assert found.item() == pytest.approx(exact.item(), rel=1e-5)


def test_a_spec_with_every_loss_has_no_note() -> None:
    text = spec("table", {"loss": "cosine(query, key) + triplet(query, key, key)"}, PAIR)
    assert analyse(Source("a.dlspec", text)).diagnostics == []


def test_each_metric_is_a_mean_of_its_own(folder: Path) -> None:
    """Of a whole set in batches of uneven sizes: some targets do not count in one, all examples do in another."""
    model = WORDS.replace("(logits: [B, 5, 6])", "(logits: [B, 5, 6], output: [B, 3])").replace(
        "(words: int[B, 5])", "(words: int[B, 5], x: [B, 4])"
    )
    model = model.replace(
        "  Embedding(6, 8) -> Linear(6)",
        "  words -> Embedding(6, 8) -> Linear(6) as logits\n  x -> Linear(3) as output",
    )
    metrics = "[accuracy(logits, data.targets), accuracy(output, data.y), mae(output, data.z)]"
    data = 'arrays("x.npz", validation = "x.npz")'
    loss = "cross_entropy(logits, data.targets, ignore = 3) + mse(output, data.z)"
    made = program(model, loss, metrics=metrics, data=data, batch="7", steps="1")
    train(made, folder, folder / "run")
    found = evaluate(made, folder / "run")
    trained, arrays = load_model(made, folder / "run"), np.load(folder / "x.npz")
    logits, output = trained(torch.from_numpy(arrays["words"]), torch.from_numpy(arrays["x"]))
    counts = (arrays["targets"] != -100) & (arrays["targets"] != 3)
    hits = logits.argmax(-1).numpy() == arrays["targets"]
    assert found["accuracy_logits"] == pytest.approx(hits[counts].mean(), rel=1e-6)
    assert found["accuracy_output"] == pytest.approx((output.argmax(-1).numpy() == arrays["y"]).mean(), rel=1e-6)
    assert found["mae"] == pytest.approx(np.abs(output.detach().numpy() - arrays["z"]).mean(), rel=1e-6)
