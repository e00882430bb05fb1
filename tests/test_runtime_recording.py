"""What of recorded updates can be seen without a GPU; test_gpu_training has the rest."""

from __future__ import annotations

import torch

from dlspec.runtime.recording import _apart


def test_gradients_lie_apart() -> None:
    """Clipping multiplies each in place: one that two parameters shared would be multiplied twice."""
    one = torch.arange(6.0).reshape(2, 3)
    given = [one, None, one, one.t(), torch.ones(()).expand(4)]
    found = _apart(given)
    for a, b in zip(given, found, strict=True):
        assert (a is None) is (b is None)
        if a is not None and b is not None:
            assert torch.equal(a, b) and b.is_contiguous()
    places = [b.untyped_storage().data_ptr() for b in found if b is not None]
    assert len(set(places)) == len(places) == 4
    found[0].mul_(2)  # type: ignore[union-attr]
    assert torch.equal(found[2], torch.arange(6.0).reshape(2, 3))  # type: ignore[arg-type]
