"""`dlspec bench`: kernels on what a model calls them with, beside what else there is, and the time of whole steps."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from triton_files import always, loaded
from triton_templates import interpreting

from dlspec.api.bench import Bench, forward_flops
from dlspec.api.compilation import program_of
from dlspec.cli.bench_tables import kernel_json, kernel_rows, step_json, step_rows
from dlspec.cli.main import main
from dlspec.compiler.pipeline import analyse, emit
from dlspec.grammar import Source
from dlspec.runtime import Program
from dlspec.runtime.bench import kernels as of_kernels
from dlspec.runtime.bench import peaks, step
from dlspec.runtime.bench.kernels import Measured, UseMeasured, is_fused, measure_way, tensors_of, ways_of
from dlspec.runtime.bench.kinds import kind_of
from dlspec.runtime.bench.kinds.attention import flex, seen_pairs
from dlspec.runtime.bench.use import Entry, Use, watching
from dlspec.runtime.data import Data

CPU = torch.device("cpu")
SPEC = """dlspec 1
context = 32
model GPT: (tokens: int[B, T <= context]) -> (logits: [B, T, 64]) {
  wte: Embedding(64, 32) + wpe: Positions(context, 32)
  blocks: repeat(3) {
    residual(pre = LayerNorm) { attn: SelfAttention(2, causal = true) }
    residual(pre = LayerNorm) { mlp: { Linear(64) -> gelu -> Linear(32) } }
  }
  norm: RMSNorm
  head: Linear(64)
}
train GPT {
  data      = text("input.txt", tokenizer = characters, window = context)
  loss      = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  steps     = 10
  batch     = 4
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a text to learn from, in which there are 64 different characters."""
    (tmp_path / "input.txt").write_text("".join(map(chr, range(32, 96))) * 20)
    (tmp_path / "gpt.dlspec").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bench(folder: Path, *overrides: str, **options: Any) -> Bench:
    return Bench(Source("gpt.dlspec", SPEC), folder, set=overrides, device="cpu", **options)


def named(found: list[UseMeasured], kind: str) -> list[UseMeasured]:
    return [one for one in found if one.use.entry.kind == kind]


# --- what is measured ---------------------------------------------------------------------------------------------


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


# --- the ways to compute it ---------------------------------------------------------------------------------------


@pytest.fixture
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


def test_every_way_is_measured_and_what_is_refused_is_told(
    folder: Path, interpreted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs on a GPU, by the interpreter: cuDNN has nothing for a CPU, which is what is found of it."""
    one = Bench(Source("interpreted.dlspec", SPEC), folder, device="cpu")
    _, kernels = loaded(one.artefacts["triton"])
    monkeypatch.setattr(of_kernels, "seconds_of", lambda run, device: (run(), 0.001)[1])
    uses = [measured.use for measured in one.kernels()]
    monkeypatch.setattr(kernels, "fused", always)
    for use in uses:
        kind = kind_of(use.entry.kind)
        assert is_fused(use, kernels)
        ways = ways_of(use, kernels, fused=True, backend="aot_eager")
        found = {way.name: measure_way(use, kind, way, CPU) for way in ways}
        assert kernels.fused is always
        assert list(found)[:3] == ["dlspec", "PyTorch", "torch.compile"]
        assert [way.failed for way in list(found.values())[:3]] == ["", "", ""]
        ours = found["dlspec"]
        assert ours.forward == found["PyTorch"].forward and ours.backward == found["torch.compile"].backward
        work = kind.forward_work(use, tensors_of(use.call()))
        assert ours.forward is not None and ours.backward is not None
        assert ours.forward.speed == pytest.approx(work / 0.001 / {"TFLOP/s": 1e12, "GB/s": 1e9}[kind.unit])
        if use.entry.kind == "attention":
            told(use, found)


def test_modules_that_differ_in_a_number_are_told_together() -> None:
    places = (
        "blocks.0.a",
        "blocks.1.a",
        "blocks.1.a",
        "blocks.3.a",
        "head",
        "blocks.5.inner.2.a",
        "blocks.6.inner.2.a",
    )
    use = Use("f", Entry("made_up", {}), lambda x: x, {"x": torch.zeros(2)}, places, None)
    rows = kernel_rows([UseMeasured(use, "GB/s", fused=False, ways=(Measured("PyTorch"),))])
    found = [row["kernel"].strip() for row in rows]
    assert found == ["f", "blocks.0-1,3.a", "head", "blocks.5-6.inner.2.a", "[2] float32"]


def told(use: Use, found: dict[str, Measured]) -> None:
    assert list(found)[3:] == ["cuDNN", "FlashAttention", "FlexAttention"]
    assert found["cuDNN"].failed.startswith("RuntimeError: No ") and found["cuDNN"].forward is None
    measured = UseMeasured(use, "TFLOP/s", fused=True, ways=tuple(found.values()))
    rows = kernel_rows([measured])
    assert [row["kernel"] for row in rows[:4]] == ["attention", "  blocks.0-2.attn", "  [4, 32, 2, 16] float32", ""]
    assert rows[0]["by"] == "dlspec" and rows[0]["forward"].startswith("1 ms") and "TFLOP/s" in rows[0]["backward"]
    assert rows[3]["by"] == "cuDNN" and "RuntimeError: No " in rows[3][""] and not rows[3]["forward"]
    as_json = json.loads(json.dumps(kernel_json(measured)))
    assert as_json["modules"] == ["blocks.0.attn", "blocks.1.attn", "blocks.2.attn"]
    assert as_json["ways"][3]["failed"] and as_json["ways"][0]["backward"]["seconds"] == 0.001


ATTENTIONS = {
    "full": "",
    "causal": ", causal = true",
    "window": ", causal = true, window = 5",
    "both sides": ", window = 5",
    "capped": ", causal = true, softcap = 3",
    "alibi": ", causal = true, alibi = true",
    "shared heads": ", causal = true, kv_heads = 2",
    "scaled": ", scale = 0.3",
    "prefix": ", causal = true, prefix = 7",
    "prefixes": ", causal = true, prefix = prefix",
    "documents": ", causal = true, documents = documents",
    "padding": ", mask = real",
    "added": ", causal = true, softcap = 3, score = near",
    "added for each": ", alibi = true, score = each_near",
}


@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize("options", ATTENTIONS.values(), ids=ATTENTIONS.keys())
def test_flex_attention_says_the_same(options: str) -> None:
    use, kernels = attention_use(options)
    with torch.no_grad():
        # On a CPU it takes nothing that is trained.
        found = flex(use)(**{name: v.detach() if isinstance(v, torch.Tensor) else v for name, v in use.values.items()})
        want = use.call()
    assert (want - found).abs().max().item() < 1e-5
    assert kernels.fused(use.values["q"]) is False


def attention_use(options: str) -> tuple[Use, ModuleType]:
    """One call of an attention's kernels, with every input that there is."""
    text = _only_what_is_used(options)
    artefact = emit(analyse(Source("net.dlspec", text)), kernels="triton")
    module, kernels = loaded(artefact)
    model = module.Net()
    model.init_weights(torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(1)
    given = {
        "x": torch.randn(2, 24, 64, generator=draw),
        "prefix": torch.tensor([5, 11]),
        "documents": torch.arange(24).expand(2, 24) // torch.tensor([[7], [10]]),
        "near": torch.randn(4, 24, 24, generator=draw),
        "each_near": torch.randn(2, 4, 24, 24, generator=draw),
        "real": torch.arange(24) < torch.tensor([[24], [13]]),
    }
    entries = {name: Entry(one.kind, vars(one)) for name, one in artefact.variants.items()}
    used = [given[port.name] for port in artefact.graph.model.inputs if port.name is not None]
    with watching(model, [module], kernels, entries) as watch:
        model(*used)
    (use,) = watch.seen.values()
    return use, kernels


def _only_what_is_used(options: str) -> str:
    ports = {"prefix": "prefix: int[B]", "documents": "documents: int[B, T]", "real": "real: bool[B, T]"}
    ports |= {"near": "near: [4, T, T]", "each_near": "each_near: [B, 4, T, T]"}
    more = "".join(f", {port}" for name, port in ports.items() if f"= {name}" in options)
    head = f"model Net: (x: [B, T, 64]{more}) -> (y: [B, T, 64])"
    return f"dlspec 1\n{head} {{ x -> attn: SelfAttention(4{options}) as y }}\n"


@pytest.mark.parametrize(
    ("options", "pairs"),
    [
        ("", 2 * 24 * 24),
        (", causal = true", 2 * 24 * 25 // 2),
        (", causal = true, window = 5", 2 * (20 * 5 + 4 + 3 + 2 + 1)),
        (", mask = real", 24 * (24 + 13)),
        (", documents = documents", 2 * 0 + 7 * 7 * 3 + 3 * 3 + 10 * 10 * 2 + 4 * 4),
    ],
    ids=["full", "causal", "window", "padding", "documents"],
)
def test_only_what_is_seen_counts(options: str, pairs: int) -> None:
    use, _ = attention_use(options)
    assert seen_pairs(use) == pairs
    assert kind_of("attention").forward_work(use, []) == 4 * 4 * 16 * pairs


@pytest.mark.parametrize("given", ["x", "x and a branch", "x and a narrower branch", "no branch"])
def test_bytes_of_a_norm(given: str) -> None:
    """It reads what comes in and writes what it makes; backward, a gradient for two of one dtype is written once."""
    x, weight = torch.zeros(4, 8, requires_grad=True), 8 * 4
    values: dict[str, torch.Tensor | None] = {"x": x}
    if "branch" in given:
        branch = torch.zeros(4, 8, dtype=torch.bfloat16 if "narrower" in given else torch.float32, requires_grad=True)
        values["branch"] = None if given == "no branch" else branch
    y, total = torch.zeros(4, 8), torch.zeros(4, 8)
    outputs = {"x": [y], "no branch": [x, y]}.get(given, [total, y])
    use = Use("Norm", Entry("norm", {"layer": False}), torch.nn.RMSNorm(8), values, ("norm",), None)
    forward, backward = {"x": (2, 3), "x and a branch": (4, 4), "x and a narrower branch": (3.5, 4.5)}.get(
        given, (2, 4)
    )
    assert kind_of("norm").forward_work(use, outputs) == 128 * forward + weight
    assert kind_of("norm").backward_work(use, outputs) == 128 * backward + 2 * weight


def test_liger_stands_beside_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up one, which calls what it is given as the real one does: 0.8.5 takes these arguments."""
    module = torch.nn.RMSNorm(8, eps=1e-3)
    module.register_parameter("bias", None)

    class Made:
        @staticmethod
        def apply(*given: Any) -> Any:
            *tensors, weight, eps, offset, casting, in_place = given
            assert (weight is module.weight, eps, offset, casting, in_place) == (True, 1e-3, 0.0, "llama", False)
            total: Any = sum(tensors)
            y = torch.nn.functional.rms_norm(total, (8,), weight, eps)
            return (y, total) if len(tensors) == 2 else y

    made_up(monkeypatch, {"rms_norm": ("LigerRMSNormFunction", Made), "fused_add_rms_norm": (ADDED, Made)})
    x, features = torch.randn(2, 8), {"layer": False, "offset": False, "add": True}
    for branch in (torch.randn(2, 8), None):
        use = Use("AddRMSNorm", Entry("norm", features), module, {"x": x, "branch": branch}, ("norm",), None)
        (rival,) = kind_of("norm").rivals(use, of_kernels.Rival("PyTorch", use.run))
        found = tensors_of(rival.run(**use.values))
        total = x if branch is None else x + branch
        assert rival.name == "Liger-Kernel" and torch.equal(found[-1], module(total))
        assert branch is None or torch.equal(found[0], total)
    use = Use("LayerNorm", Entry("norm", features | {"layer": True, "bias": True}), module, {"x": x}, ("norm",), None)
    assert list(kind_of("norm").rivals(use, of_kernels.Rival("PyTorch", use.run))) == []


ADDED = "LigerFusedAddRMSNormFunction"


def made_up(monkeypatch: pytest.MonkeyPatch, operations: dict[str, tuple[str, type]]) -> None:
    """A Liger-Kernel that has these."""
    for name in ("liger_kernel", "liger_kernel.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for file, (name, function) in operations.items():
        monkeypatch.setitem(sys.modules, f"liger_kernel.ops.{file}", ModuleType(file))
        setattr(sys.modules[f"liger_kernel.ops.{file}"], name, function)


def test_liger_has_losses_gates_and_rotary(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loss:
        @staticmethod
        def apply(logits: Any, labels: Any, weight: None, ignored: int, z: float, smoothing: float) -> Any:
            assert weight is None and z == 0.0
            found = torch.nn.functional.cross_entropy(logits, labels, ignore_index=ignored, label_smoothing=smoothing)
            return found, None

    class Gate:
        @staticmethod
        def apply(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.silu(gate) * up

    made_up(monkeypatch, {"cross_entropy": (LOSS, Loss), "swiglu": ("LigerSiLUMulFunction", Gate)})
    logits, labels = torch.randn(2, 3, 5), torch.tensor([[0, 1, 2], [3, 2, 2]])
    want = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=2)
    assert torch.equal(by_liger("cross_entropy", {}, {"logits": logits, "labels": labels, "ignore": 2}), want)
    gate, up = torch.randn(2, 4), torch.randn(2, 4)
    want = Gate.apply(gate, up)
    features = {"name": "silu", "gate_first": False}
    assert torch.equal(by_liger("gated", features, {"gate": gate, "up": up}), want)
    assert torch.equal(by_liger("gated", features, {"both": torch.cat((up, gate), -1)}), want)
    q, k, angles = torch.randn(2, 3, 4, 8), torch.randn(2, 3, 2, 8), torch.randn(9, 4)

    class Turn:
        @staticmethod
        def apply(q: Any, k: Any, cos: Any, sin: Any, places: None, heads_at: int, width: int) -> Any:
            assert (q.shape, k.shape, cos.shape) == ((2, 4, 3, 8), (2, 2, 3, 8), (1, 3, 4))
            assert places is None and (heads_at, width) == (1, 8)
            return q, k

    made_up(monkeypatch, {"rope": ("LigerRopeFunction", Turn)})
    turned = by_liger("rotary", {}, {"q": q, "k": k, "cos": angles.cos(), "sin": angles.sin()})
    assert torch.equal(turned[0], q) and torch.equal(turned[1], k)
    assert list(kind_of("gated").rivals(Use("x", Entry("gated", {"name": "relu"}), Gate, {}, (), None), PLAIN)) == []


LOSS = "LigerCrossEntropyFunction"
PLAIN = of_kernels.Rival("PyTorch", lambda: None)


def by_liger(kind: str, features: dict[str, Any], values: dict[str, Any]) -> Any:
    (rival,) = kind_of(kind).rivals(Use("x", Entry(kind, features), lambda: None, values, (), None), PLAIN)
    return rival.run(**values)


def test_a_linear_layer_with_its_loss_is_measured_by_its_products(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loss:
        @staticmethod
        def apply(x: Any, weight: Any, labels: Any, bias: Any) -> Any:
            return torch.nn.functional.cross_entropy(torch.nn.functional.linear(x, weight, bias), labels), None

    made_up(monkeypatch, {"fused_linear_cross_entropy": ("LigerFusedLinearCrossEntropyFunction", Loss)})
    module, x, targets = torch.nn.Linear(8, 5), torch.randn(2, 3, 8), torch.tensor([[0, 1, 2], [3, 2, 2]])
    kind, values = kind_of("linear_cross_entropy"), {"x": x, "targets": targets}
    for smoothing in (False, True):
        loss = SimpleNamespace(smoothing=smoothing, ignore=False)
        use = Use("L", Entry("linear_cross_entropy", {"loss": loss}), module, values, ("head",), None)
        assert (kind.unit, kind.forward_work(use, []), kind.backward_work(use, [])) == ("TFLOP/s", 480, 960)
        assert [rival.name for rival in kind.rivals(use, PLAIN)] == ([] if smoothing else ["Liger-Kernel"])
    (rival,) = kind.rivals(replace(use, entry=Entry("", {"loss": SimpleNamespace(smoothing=0, ignore=0)})), PLAIN)
    want = torch.nn.functional.cross_entropy(module(x).flatten(0, 1), targets.flatten())
    assert torch.equal(rival.run(**values), want)


def test_a_kind_without_a_file_is_measured_by_what_it_reads_and_writes() -> None:
    x, kind = torch.zeros(10, requires_grad=True), kind_of("made_up")
    use = Use("double", Entry("made_up", {}), lambda x: 2 * x, {"x": x}, (), None)
    assert kind.unit == "GB/s" and list(kind.rivals(use, of_kernels.Rival("PyTorch", use.run))) == []
    assert kind.forward_work(use, [x]) == 80 and kind.backward_work(use, [x]) == 120


# --- whole steps --------------------------------------------------------------------------------------------------


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


# --- the verb -----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "MOST", 3)


def test_the_verb_shows_tables(folder: Path, quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "gpt.dlspec", "--device", "cpu"]) == 0
    kernels, steps = capsys.readouterr().out.split("\n\n")
    heads = [line.split() for line in (kernels.splitlines()[0], steps.splitlines()[0])]
    assert heads == [["kernel", "by", "forward", "backward", "both"], ["kernels", "model", "step", "tokens"]]
    assert "  blocks.0-2.attn\n" in kernels and "[4, 32, 2, 16] float32" in kernels and " GB/s" in kernels
    assert [line.split()[:4] for line in steps.splitlines()[1:]] == [
        ["triton", "as", "it", "is"],
        ["torch", "as", "it", "is"],
    ]


def test_the_verb_gives_json(folder: Path, quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "gpt.dlspec", "--device", "cpu", "--json", "--set", "train.batch=2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1 and found["spec"] == "gpt" and found["recipe"] == "GPT" and found["device"] == "cpu"
    assert (found["batch"], found["dims"], found["precision"]) == (2, {"B": 2, "T": 32}, "fp32")
    assert {"attention", "norm"} <= {one["kind"] for one in found["kernels"]}
    first, second = found["steps"]
    assert (first["kernels"], second["kernels"], first["compiled"]) == ("triton", "torch", False)
    assert first["tokens_per_second"] > 0 and first["mfu"] is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_what_it_needs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "gpt.dlspec"]) == 1
    error, help = capsys.readouterr().err.splitlines()
    assert error.startswith("error: bench needs a GPU: ") and "`--device cpu`" in help


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--device", "tpu"], 1, "there is no device tpu"),
        (["--device", "cpu", "--kernels", "cuda"], 2, "invalid choice: 'cuda'"),
        (["--device", "cpu", "--recipe", "other"], 2, "there are: GPT"),
        (["--device", "cpu", "--set", "contxt=40"], 1, "`context`"),
        (
            ["--device", "cpu", "--set", 'train.data=text("none.txt", tokenizer = characters, window = 8)'],
            1,
            "none.txt",
        ),
    ],
)
def test_mistakes_are_told_as_everywhere(
    folder: Path, words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "gpt.dlspec", *words]) == code
    captured = capsys.readouterr()
    assert says in captured.err and captured.out == "" and "Traceback" not in captured.err


def test_a_spec_without_a_recipe_is_told_what_to_write(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bare.dlspec").write_text(SPEC.partition("train GPT")[0])
    assert main(["bench", "bare.dlspec", "--device", "cpu"]) == 1
    assert "Write `train GPT { ... }`." in capsys.readouterr().err


def test_the_commands_of_its_page_run(repo: Path, tmp_path: Path) -> None:
    page = (repo / "docs" / "reference" / "bench.md").read_text(encoding="utf-8")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    (script,) = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
    run = subprocess.run(
        ["bash", "-c", f"set -eu\n{script}"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    document = json.loads(run.stdout.splitlines()[-1])
    words = set(re.findall(r"`(\w+)`", page.partition("## As JSON")[2]))
    assert set(document) - {"schema", "spec", "recipe"} <= words
    assert {key for step in document["steps"] for key in step} <= words
    assert os.listdir(tmp_path) == ["digits.dlspec"]


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
