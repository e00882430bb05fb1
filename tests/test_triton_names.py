"""Files of kernels under names that are not ASCII: they are emitted, loaded and run."""

from __future__ import annotations

import pytest
import torch
from triton_files import always, compiled, loaded
from triton_templates import interpreting

NET = """dlspec 1
model Net: (x: [B, T <= 16, 32]) -> (y: [B, T, 32]) { LayerNorm -> SelfAttention(2) }
"""


@pytest.mark.parametrize("name", ["größe", "模型", "é2"])
def test_a_name_that_is_not_ascii(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with interpreting():
        module, kernels = loaded(compiled(NET, name=name))
        assert kernels.NAMESPACE.isascii() and kernels.NAMESPACE.isidentifier()
        model, x = module.Net(), torch.randn(2, 4, 32)
        want = model(x)
        monkeypatch.setattr(kernels, "fused", always)
        torch.testing.assert_close(model(x), want, atol=1e-5, rtol=0)
