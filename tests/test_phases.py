"""Phases: each updates its part of a model by a loss of its own, on one batch, with the weights as they then are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dlspec.api.compilation import program_of
from dlspec.compiler.pipeline import analyse, compile
from dlspec.grammar import Source
from dlspec.runtime import Diverged, Program, Refused, resume, train, verify_resume
from dlspec.runtime.data import open_data
from dlspec.runtime.device import choose_device
from dlspec.runtime.evaluation import load_model
from dlspec.runtime.order import Order
from dlspec.runtime.seeds import derive_seed

CPU = choose_device("cpu")
GAN = """\
dlspec 1
model GAN: (image: [B, 1, 8, 8]) -> (real: [B, 1], fake: [B, 1]) {
  image -> critic: { Conv2d(4, kernel = 3, stride = 2) -> BatchNorm -> leaky_relu(0.2) -> flatten -> Linear(1) } as real
  normal([B, 8]) -> generator: { Linear(16) -> BatchNorm -> relu -> Linear(64) -> reshape([B, 1, 8, 8]) }
    -> critic as fake
}
train GAN {
  data      = digits
  optimizer = Adam(lr = 1e-2, betas = [0.5, 0.999])
  schedule  = linear(to = 0)
  steps     = 4
  batch     = 32
  phase judge {
    update = [critic]
    loss   = binary_cross_entropy_with_logits(real, 1) + binary_cross_entropy_with_logits(fake, 0)
    times  = 2
  }
  phase forge {
    update    = [generator]
    loss      = binary_cross_entropy_with_logits(fake, 1)
    optimizer = AdamW(lr = 1e-3, betas = [0.5, 0.999], decay = 0.1)
  }
}
"""


def program(text: str = GAN, *overrides: str) -> Program:
    return program_of(compile(Source("gan.dlspec", text), overrides))


def trained(program: Program, folder: Path, name: str = "run") -> nn.Module:
    train(program, folder, folder / name, device="cpu")
    return load_model(program, folder / name)


def by_hand(program: Program, folder: Path, *, parts: int = 1, clip: float | None = None) -> nn.Module:
    """The same GAN, trained by a loop that was written out for it. Norms keep their running statistics from a phase
    that does not update them by being told to track none."""
    model = program.make_model()
    model.train()
    parts_of = {"judge": model.get_submodule("critic"), "forge": model.get_submodule("generator")}
    critic = torch.optim.Adam(parts_of["judge"].parameters(), lr=1e-2, betas=(0.5, 0.999), fused=True)
    groups = [
        {"params": [p for p in parts_of["forge"].parameters() if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in parts_of["forge"].parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    generator = torch.optim.AdamW(groups, lr=1e-3, betas=(0.5, 0.999), fused=True)

    def cross_entropy(scores: Tensor, is_real: float) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(scores, torch.full_like(scores, is_real))

    def run(phase: str, time: int, step: int, optimizer: torch.optim.Optimizer, peak: float, images: Tensor) -> None:
        for name, part in parts_of.items():
            part.requires_grad_(name == phase)
            for norm in (module for module in part.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)):
                norm.track_running_stats = name == phase
        optimizer.zero_grad()
        for number, image in enumerate(images.chunk(parts)):
            torch.manual_seed(derive_seed(0, "forward", step, phase, time, number))
            real, fake = model(image)
            loss = cross_entropy(fake, 1) if phase == "forge" else cross_entropy(real, 1) + cross_entropy(fake, 0)
            (loss if parts == 1 else loss * (1 / parts)).backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(parts_of[phase].parameters(), clip)
        for group in optimizer.param_groups:
            group["lr"] = peak * (1 - step / 4)
        optimizer.step()

    data = open_data(dict(program.options.data), base=folder, seed=0)
    order = Order(0, len(data.train), 32)
    for step in range(4):
        images = data.train.batch(*order.batch_of(step))["image"]
        run("judge", 0, step, critic, 1e-2, images)
        run("judge", 1, step, critic, 1e-2, images)
        run("forge", 0, step, generator, 1e-3, images)
    return model


def assert_close(ours: nn.Module, theirs: nn.Module) -> None:
    expected = theirs.state_dict()
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(
            tensor, expected[name], rtol=1e-5, atol=1e-6, msg=lambda text, name=name: name + text
        )


@pytest.mark.parametrize(
    ("overrides", "parts", "clip"),
    [((), 1, None), (("train.accumulate=2", "train.clip=0.05"), 2, 0.05)],
    ids=["plain", "accumulated and clipped"],
)
def test_training_is_that_of_a_loop_written_by_hand(
    overrides: tuple[str, ...], parts: int, clip: float | None, tmp_path: Path
) -> None:
    gan = program(GAN, *overrides)
    assert_close(trained(gan, tmp_path), by_hand(gan, tmp_path, parts=parts, clip=clip))


def test_a_phase_changes_nothing_but_what_it_updates(tmp_path: Path) -> None:
    """Weights and running statistics, though both norms saw batches."""
    text = GAN.replace("  phase forge {", "  phase idle {").replace("update    = [generator]", "update = [spare]")
    text = text.replace("as real\n", "as real\n  fake_of = spare: Linear(1)\n").replace(
        "critic as fake", "critic as h\n  h -> fake_of as fake"
    )
    gan = program(text)
    before = {name: tensor.clone() for name, tensor in gan.make_model().state_dict().items()}
    after = trained(gan, tmp_path).state_dict()
    moved = {name.split(".")[0] for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved == {"critic", "spare"}
    assert int(after["critic.batch_norm.num_batches_tracked"]) == 4 * 2 * 2, "4 steps, 2 times, 2 pictures each"


def test_a_phase_computes_what_it_asks_for_and_no_more() -> None:
    gan = program()
    model = gan.make_model()
    code = gan.model_code[gan.model_code.index("def forward_forge") :]
    assert code[: code.index("return")].count("self.") == 1, "the generator alone, then the critic once"
    image = torch.rand(5, 1, 8, 8)
    torch.manual_seed(0)
    _, expected = model.eval()(image)
    torch.manual_seed(0)
    assert torch.equal(model.forward_forge(image), expected)  # type: ignore[operator]
    assert "forward_judge" not in gan.model_code, "it asks for all that there is"
    assert [phase.outputs for phase in gan.options.phases] == [None, ("fake",)]


def test_a_module_called_like_the_method_of_a_phase_is_an_error() -> None:
    found = analyse(Source("gan.dlspec", GAN.replace("critic", "forward_forge"))).diagnostics
    assert [d.code for d in found] == ["taken-name"]


def test_what_is_random_is_drawn_anew_in_each_phase_and_each_time(tmp_path: Path) -> None:
    seen: list[float] = []
    gan = program(GAN)
    drawn = torch.randn

    def recording(*size: object, **options: object) -> Tensor:
        noise = drawn(*size, **options)  # type: ignore[arg-type]
        seen.append(float(noise.sum()))
        return noise

    gan.model_module.torch.randn = recording  # type: ignore[attr-defined]
    try:
        trained(gan, tmp_path)
    finally:
        gan.model_module.torch.randn = drawn  # type: ignore[attr-defined]
    assert len(set(seen[:12])) == 4 * 3, "4 steps of 3 phases, before it is validated"


def test_losses_rates_and_gradients_are_logged_by_phase(tmp_path: Path) -> None:
    gan = program(GAN, "train.validate=every(2)")
    trained(gan, tmp_path)
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    first, last = records[0], records[-1]
    assert set(first) == {
        *("step", "split", "judge_loss", "forge_loss", "judge_lr", "forge_lr"),
        *("judge_gradient_norm", "forge_gradient_norm", "epoch", "samples_per_second"),
    }
    assert (first["judge_lr"], first["forge_lr"]) == (1e-2, 1e-3)
    assert last["split"] == "validation" and {"judge_loss", "forge_loss"} < set(last)
    before = next(record for record in reversed(records) if record["split"] == "train")
    assert "lr" not in last
    assert [last[name] for name in ("judge_lr", "forge_lr")] == [before[name] for name in ("judge_lr", "forge_lr")]
    assert last["judge_loss"] != last["forge_loss"]


def test_one_rate_for_all_phases_is_one_function() -> None:
    recipe = program(GAN).recipe
    assert (recipe.judge_learning_rate(0), recipe.forge_learning_rate(0)) == (1e-2, 1e-3)
    shared = program(GAN.replace("AdamW(lr = 1e-3", "AdamW(lr = 1e-2")).recipe
    assert shared.learning_rate(2) == pytest.approx(5e-3)
    assert not hasattr(shared, "judge_learning_rate")


@pytest.mark.slow
def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    """Each optimizer's state comes back as its own."""
    proof = verify_resume(program(GAN, "train.validate=every(2)"), tmp_path, 4, device="cpu")
    assert proof.files == ("model.safetensors", "optimizer.safetensors")


def test_the_state_of_other_phases_is_refused(tmp_path: Path) -> None:
    train(program(), tmp_path, tmp_path / "run", device="cpu", until=2)
    other = program(GAN.replace("phase forge", "phase fake_it"))
    with pytest.raises(Refused, match="in the phases `judge` and `forge`, and the recipe trains in the phases `judge`"):
        resume(other, tmp_path / "run", device="cpu")


def test_a_loss_that_is_no_number_is_told_with_its_phase(tmp_path: Path) -> None:
    text = GAN.replace("AdamW(lr = 1e-3", "AdamW(lr = 1e38")
    with pytest.raises(Diverged, match="step 1: the loss of the phase `judge` is not a finite number") as caught:
        trained(program(text), tmp_path)
    evidence = caught.value.evidence
    assert evidence is not None
    assert json.loads(evidence.read_text())["phase"] == "judge"


def test_a_loss_that_reaches_nothing_that_is_updated_is_told_with_its_phase(tmp_path: Path) -> None:
    text = GAN.replace("binary_cross_entropy_with_logits(fake, 1)\n", "binary_cross_entropy_with_logits(real, 1)\n")
    with pytest.raises(Refused, match="the phase `forge` depends on no weight that it updates"):
        trained(program(text), tmp_path)


def test_what_is_watched_is_the_loss_of_a_phase() -> None:
    def findings(on: str) -> list[str]:
        text = GAN.replace("  batch ", f'  early_stop = patience(2, on = "{on}")\n  batch ')
        return [f"{d.message}; {d.help}" for d in analyse(Source("gan.dlspec", text)).diagnostics]

    assert findings("validation.forge_loss") == []
    assert findings("validation.loss") == [
        'nothing is measured as "validation.loss"; `on` takes one of "validation.judge_loss", "validation.forge_loss"'
    ]


def test_patterns_and_parts_of_parts_are_updated_once() -> None:
    text = """\
dlspec 1
model M: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  flatten
  blocks: repeat(2) { norm: LayerNorm -> fc: Linear(64) }
  head: Linear(10)
}
"""
    lines = "  data = digits\n  optimizer = SGD(lr = 1)\n  steps = 1\n  batch = 8\n"
    loss = "    loss = cross_entropy(logits, data.label)\n"
    phases = f'  phase norms {{\n    update = ["blocks.*.norm", blocks.0.fc, head]\n{loss}  }}\n'
    phases += f"  phase rest {{\n    update = [blocks, blocks.1.fc]\n{loss}  }}\n"
    code = compile(Source("m.dlspec", f"{text}train M {{\n{lines}{phases}}}\n")).recipe_code
    assert code is not None
    assert (
        """\
    parameters: list[nn.Parameter] = []
    for block in model.blocks:
        parameters += block.norm.parameters()
    parameters += model.blocks[0].fc.parameters()
    parameters += model.head.parameters()
    return list(dict.fromkeys(parameters))
"""
        in code
    )
    assert "    return list(model.blocks.parameters())\n" in code
