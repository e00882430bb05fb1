"""`dlspec bench`: the ways to compute what a kernel does, and the work that counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from bench_cases import CPU, SPEC, written_to
from triton_files import always, loaded
from triton_templates import interpreting

from dlspec.api.bench import Bench
from dlspec.cli.bench_tables import kernel_json, kernel_rows
from dlspec.compiler.pipeline import analyse, emit
from dlspec.grammar import Source
from dlspec.runtime.bench import kernels as of_kernels
from dlspec.runtime.bench.kernels import Measured, UseMeasured, is_fused, measure_way, tensors_of, ways_of
from dlspec.runtime.bench.kinds import kind_of
from dlspec.runtime.bench.kinds.attention import flex, seen_pairs
from dlspec.runtime.bench.use import Entry, Use, watching


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return written_to(tmp_path)


@pytest.fixture
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


@pytest.mark.slow
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


@pytest.mark.slow
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
    (use,) = (use for use in watch.seen.values() if use.entry.kind == "attention")
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


def test_values_of_another_width_count_as_wide_as_they_are() -> None:
    q, k, v = torch.zeros(2, 5, 3, 16), torch.zeros(2, 7, 3, 16), torch.zeros(2, 7, 3, 8)
    features = {"causal": False, "window": False, "documents": False, "mask": "none"}
    use = Use("attention", Entry("attention", features), print, {"q": q, "k": k, "v": v}, (), None)
    kind, pairs = kind_of("attention"), 2 * 5 * 7
    assert kind.forward_work(use, []) == 2 * 3 * (16 + 8) * pairs
    assert kind.backward_work(use, []) == 2 * 3 * (3 * 16 + 2 * 8) * pairs


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


def test_a_kind_without_a_file_is_measured_by_what_it_reads_and_writes() -> None:
    x, kind = torch.zeros(10, requires_grad=True), kind_of("made_up")
    use = Use("double", Entry("made_up", {}), lambda x: 2 * x, {"x": x}, (), None)
    assert kind.unit == "GB/s" and list(kind.rivals(use, of_kernels.Rival("PyTorch", use.run))) == []
    assert kind.forward_work(use, [x]) == 80 and kind.backward_work(use, [x]) == 120
