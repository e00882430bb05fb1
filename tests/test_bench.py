"""`dlspec bench`: which kernels are measured on what a model calls them with, and the time of whole steps."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
from bench_cases import CPU, bench, named, written_to

from dlspec.api.bench import forward_flops
from dlspec.api.compilation import program_of
from dlspec.cli.bench_tables import step_json, step_rows
from dlspec.compiler.pipeline import analyse, emit
from dlspec.grammar import Source
from dlspec.runtime import Program
from dlspec.runtime.bench import peaks, step
from dlspec.runtime.bench.kinds import kind_of
from dlspec.runtime.bench.use import Entry, watching
from dlspec.runtime.data import Data


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return written_to(tmp_path)


# --- kernels ----------------------------------------------------------------------------------------------------------


def test_each_kernel_is_found_where_the_model_calls_it(folder: Path) -> None:
    found = bench(folder).kernels()
    (attention,) = named(found, "attention")
    assert attention.use.where == ("blocks.0.attn", "blocks.1.attn", "blocks.2.attn")
    assert attention.use.values["q"].shape == (4, 32, 2, 16)
    norms = named(found, "norm")
    inside = (f"blocks.{i}.{which}" for i in range(3) for which in ("attn_norm", "mlp_norm"))
    assert sorted(place for one in norms for place in one.use.where) == sorted([*inside, "norm"])
    assert {one.use.values["x"].shape for one in norms} == {(4, 32, 32)}
    assert {one.use.entry.features["layer"] for one in norms} == {True, False}
    assert any("branch" in one.use.tensors for one in norms)
    for one in found:
        (way,) = one.ways
        assert way.name == "PyTorch" and not one.fused and not way.failed
        assert way.forward is not None and way.forward.speed > 0
        assert way.backward is not None and way.backward.seconds > 0


def test_a_layer_is_measured_by_its_products(folder: Path) -> None:
    """Those of one shape together: forward one product, backward two."""
    found = bench(folder).kernels()
    for kind, name, sizes in (("linear", "Linear", {(32, 32), (32, 64)}), ("activation", "gelu_linear", {(64, 32)})):
        uses = [one.use for one in named(found, kind)]
        assert {use.name for use in uses} == {name} and all(len(use.where) == 3 for use in uses)
        assert {tuple(weight.shape) for use in uses for weight in use.weights if weight.ndim == 2} == sizes
        for use in uses:
            outputs, (weight, _) = [use.call()], use.weights
            flops = 2 * 4 * 32 * weight.numel()
            assert kind_of(kind).forward_work(use, outputs) == flops
            assert kind_of(kind).backward_work(use, outputs) == 2 * flops


def test_a_part_of_the_batch_is_what_a_kernel_gets(folder: Path) -> None:
    found = bench(folder, "train.accumulate=2", "context=8", "train.precision=bf16").kernels()
    (attention,) = named(found, "attention")
    assert attention.use.values["q"].shape == (2, 8, 2, 16)
    assert attention.use.values["q"].dtype == attention.use.autocast == torch.bfloat16


def test_without_kernels_there_is_no_table_of_them(folder: Path) -> None:
    assert bench(folder, kernels="torch").kernels() == []
    assert [one.kernels for one in bench(folder, kernels="torch").steps()] == ["torch"]


class _Model(torch.nn.Module):
    def __init__(self, kernels: ModuleType) -> None:
        super().__init__()
        self.inner = kernels.Scale()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


def test_watching_sees_functions_and_modules_and_leaves_nothing_behind() -> None:
    class Scale(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return text.twice(2 * x, by=3)

    def double(x: torch.Tensor, by: int, more: float = 0.5) -> torch.Tensor:
        return x * by * more

    kernels, text = ModuleType("kernels"), ModuleType("text")
    vars(kernels).update(double=double, Scale=Scale)
    vars(text).update(twice=double, torch=torch, sizes=[])
    model, x = _Model(kernels), torch.ones(2, 3, requires_grad=True)
    entries = {"double": Entry("made_up", {}), "Scale": Entry("made_up", {})}
    with watching(model, [text], kernels, entries) as watch:
        model(x)
        model(x)
        text.twice(torch.ones(5), 3)
    first, second, third = watch.seen.values()
    assert (first.name, first.where) == ("Scale", ("inner", "inner"))
    assert (second.name, second.where, second.values["by"]) == ("double", ("inner", "inner"), 3)
    assert third.where == () and third.values["x"].shape == (5,) and not third.trained
    assert second.trained[0].shape == (2, 3) and torch.equal(second.call(), torch.full((2, 3), 3.0))
    assert text.twice is double and not model._forward_pre_hooks and not model.inner._forward_hooks


# --- whole steps ------------------------------------------------------------------------------------------------------


def test_flops_of_a_model_are_those_that_are_needed(repo: Path) -> None:
    """6 N + 12 L T d for a token forward and backward, of which the second is halved by a causal mask."""
    text = (repo / "specs" / "gpt.dlspec").read_text(encoding="utf-8")
    artefact = emit(analyse(Source("gpt.dlspec", text)))
    weights = 124_439_808 - 1024 * 768
    of_a_token = 6 * weights + 12 * 12 * 1024 * 768 / 2
    assert 3 * forward_flops(artefact, {"T": 1024}) / 1024 == pytest.approx(of_a_token, rel=2e-3)
    assert forward_flops(artefact, {"T": 512}) < forward_flops(artefact, {}) / 2


def test_a_step_is_what_train_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "MOST", 4)
    one = bench(folder)
    monkeypatch.setattr(step, "peak_flops", lambda device, precision: {"fp32": 1e12}[precision])
    before = torch.get_rng_state(), torch.get_deterministic_debug_mode()
    for compile in (None, "eager"):
        found = step.measure_step(program_of(one.artefacts["torch"]), one.data, CPU, flops=1e6, compile=compile)
        assert found.updates == 4 and found.peak is None
        assert found.per_second == pytest.approx(4 * 32 / found.seconds)
        assert found.mfu == pytest.approx(3 * 1e6 * 4 / found.seconds / 1e12)
    assert torch.equal(before[0], torch.get_rng_state()) and before[1] == torch.get_deterministic_debug_mode()


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA A100-SXM4-80GB", None),
    ],
)
def test_what_a_gpu_can_do_is_known_or_left_out(
    name: str, flops: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert peaks.peak_flops(torch.device("cuda"), "bf16") == flops
    assert peaks.peak_flops(CPU, "bf16") is None


def test_what_does_not_fit_or_cannot_be_compiled_is_told_in_its_row(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bench(folder)
    made = step.Step(0.5, 3, 256.0, 0.25, 2_000_000)

    def measure(program: Program, data: Data, device: torch.device, *, flops: float, compile: str | None) -> step.Step:
        if compile is not None:
            raise ValueError("\nit cannot be traced\nat all")
        if "kernels" in program.model_code:
            return made
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(step, "measure_step", measure)
    monkeypatch.setattr(one, "device", torch.device("cuda"))
    found = list(one.steps())
    first, second, third, _ = step_rows(found, one.unit)
    assert (first["step"], first["tokens"], first["MFU"], first["memory"]) == ("500 ms", "256 /s", "25.0%", "2.00 MB")
    assert (second["step"], second[""]) == ("", "out of memory")
    assert (third["model"], third[""]) == ("torch.compile", "ValueError: it cannot be traced")
    assert [("failed" in step_json(emission, "tokens")) for emission in found] == [False, True, True, True]
    monkeypatch.setattr(step, "measure_step", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        list(one.steps())
