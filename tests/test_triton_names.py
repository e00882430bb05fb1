"""Names of a spec that meet others: those of kernels, of helpers and of variables, and such as are not ASCII."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from triton_files import always, compiled, hold_to_ruff, loaded
from triton_templates import interpreting

from dlspec.runtime.program import load_text

SPEC = """dlspec 1
model Net: (x: [B, T <= 16, 32]) -> (y: [B, T, 32]) { LayerNorm -> SelfAttention(2) }
"""


@pytest.mark.parametrize("name", ["größe", "模型", "é2"])
def test_a_name_that_is_not_ascii(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with interpreting():
        module, kernels = loaded(compiled(SPEC, name=name))
        assert kernels.NAMESPACE.isascii() and kernels.NAMESPACE.isidentifier()
        model, x = module.Net(), torch.randn(2, 4, 32)
        want = model(x)
        monkeypatch.setattr(kernels, "fused", always)
        torch.testing.assert_close(model(x), want, atol=1e-5, rtol=0)


SOFT = "(a) = a / (1 + abs(a))"
NET, PUT = (f"model Net: ({name}: [B, T, 8]) -> (y: [B, T, 8])" for name in ("x", "put"))
MET: dict[str, str] = {
    "values like kernels": f"{NET} {{\n  Linear(16) -> gelu as gelu_linear\n"
    "  (a: Linear(16) -> silu) * Linear(16) as silu_gated\n  silu_gated + gelu_linear -> Linear(8)\n}",
    "an input like a kernel": f"{NET.replace('x:', 'gelu_linear:')} {{ Linear(16) -> gelu -> Linear(8) }}",
    "functions like kernels": f"f{SOFT}\nf_gated{SOFT}\nfused_f_gated{SOFT}\n"
    f"{NET} {{ (Linear(16) -> f) * Linear(16) -> f_gated -> fused_f_gated -> Linear(8) }}",
    "a function x": f"x{SOFT}\n{PUT} {{ Linear(16) -> x -> Linear(8) -> x }}",
    "a function h": f"h{SOFT}\n{NET} {{\n  dense {{ Linear(16) -> relu -> h }}\n  Linear(8) -> relu -> h\n}}",
    "a function that calls x": f"x{SOFT}\ntwice(x2) = x(x2) * x2\n{PUT} {{ Linear(8) -> relu -> twice -> x }}",
    "a function like its value": f"cap{SOFT}\n{NET} {{ Linear(8) -> relu -> cap as cap\n  cap + x }}",
    "a loop like a value": f"{NET} {{\n  Linear(8) as layer\n"
    "  repeat(2) { Linear(8) -> relu }\n  identity + layer\n}",
    "a loop like an input": f"{NET.replace('x:', 'stage:')} {{\n"
    "  stages: repeat(2) { Linear(8) -> relu }\n  identity + stage\n}",
    "helpers": f"init_linear{SOFT}\ninit_bias{SOFT}\ninit_as_made{SOFT}\ninit_recurrent{SOFT}\n"
    f"{NET} {{\n  e: Linear(8) -> relu -> init_linear -> init_bias\n"
    "  Linear(8, weight = e.weight) -> init_as_made -> LayerNorm -> GRU(8) -> init_recurrent\n}",
    "a function like targets": f"""targets{SOFT}
model Net: (tokens: int[B, T <= 8]) -> (logits: [B, T, 256]) {{ Embedding(256, 16) -> targets -> Linear(256) }}
train Net {{
  data = text("a.txt", tokenizer = bytes, window = 8)
  loss = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  steps = 2
  batch = 2
}}""",
}


@pytest.mark.parametrize("text", MET.values(), ids=MET.keys())
def test_names_that_meet(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The model does the same with kernels and without, and what is exported is emitted too."""
    text = f"dlspec 1\n{text}\n"
    plain = load_text("net", compiled(text, "torch").model_code)
    exported = load_text("net", compiled(text, "torch").export_code)
    artefact = compiled(text)
    hold_to_ruff(artefact.files, tmp_path)
    with interpreting():
        module, kernels = loaded(artefact)
        monkeypatch.setattr(kernels, "fused", always)
        models = [of.Net() for of in (plain, exported, module)]
        models[0].init_weights(torch.Generator().manual_seed(0))
        for model in models[1:]:
            model.load_state_dict(models[0].state_dict())
        draw = torch.Generator().manual_seed(1)
        x = torch.randint(256, (2, 4), generator=draw) if "int[" in text else torch.randn(2, 4, 8, generator=draw)
        want, *others = (model(x) for model in models)
        for found in others:
            torch.testing.assert_close(found, want, atol=1e-5, rtol=1e-5)
