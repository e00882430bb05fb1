"""What of recorded updates can be seen without a GPU; test_gpu_training has the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from dlspec.runtime import recording
from dlspec.runtime.recording import Recorder, Work, _apart


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


def test_parts_of_one_gradient_stay_where_they_are() -> None:
    """As several linear layers of one input get theirs: they have no number in common."""
    whole = torch.arange(12.0).reshape(4, 3)
    given = [whole[:1], whole[1:3], whole[3:], whole[2:]]
    found = [one for one in _apart(given) if one is not None]
    assert [a.data_ptr() == b.data_ptr() for a, b in zip(given, found, strict=True)] == [True, True, True, False]
    for one in found:
        one.mul_(2)
    assert torch.equal(torch.cat(found[:3]), 2 * torch.arange(12.0).reshape(4, 3)) and torch.equal(
        found[3], 2 * torch.arange(6.0, 12.0).reshape(2, 3)
    )


BATCH = {"x": torch.zeros(2, 3)}
PARAMETERS = [torch.ones(3, requires_grad=True)]


def loss_of(batch: recording.Batch) -> torch.Tensor:
    return (batch["x"] * PARAMETERS[0]).sum()


WORK = Work(loss_of, PARAMETERS)


class Played(recording.Recording):
    """What there is of a recording without a GPU."""

    def __init__(self, work: Work, batch: recording.Batch) -> None:
        self._parameters = work.parameters
        self._places = [parameter.data_ptr() for parameter in work.parameters]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What PyTorch would tell of waiting for a GPU."""
    found: list[str] = []

    @contextmanager
    def seen() -> Iterator[list[str]]:
        yield found

    monkeypatch.setattr(recording, "waits_seen", seen)
    monkeypatch.setattr(recording, "Recording", Played)
    monkeypatch.setattr(recording, "recover", lambda: found.append("recovered"))
    return found


def warm(recorder: Recorder, batch: recording.Batch = BATCH) -> None:
    for _ in range(recording.WARM):
        assert not recorder.wants(batch)
        with recorder.watching(batch):
            pass


def test_the_first_shape_that_comes_again_is_recorded(waits: list[str]) -> None:
    recorder, other = Recorder(), {"x": torch.zeros(1, 3)}
    warm(recorder)
    assert recorder.wants(BATCH)
    first = recorder.recording(WORK, BATCH)
    assert first is not None and recorder.recording(WORK, BATCH) is first
    warm(recorder, other)
    assert recorder.wants(BATCH) and not recorder.wants(other)


def test_what_waits_or_draws_is_not(waits: list[str]) -> None:
    recorder = Recorder()
    waits.append("called a synchronizing CUDA operation")
    warm(recorder)
    assert not recorder.wants(BATCH)
    waits.clear()
    recorder = Recorder()
    for _ in range(recording.WARM):
        with recorder.watching(BATCH):
            torch.rand(())
    assert not recorder.wants(BATCH)


def test_what_cannot_be_recorded_or_has_moved_is_told_as_before(
    waits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    warm(recorder)
    moved = [torch.ones(3)]
    assert recorder.recording(Work(loss_of, moved), BATCH) is not None
    moved[0].data = torch.ones(3)
    assert recorder.recording(Work(loss_of, moved), BATCH) is None and not recorder.wants(BATCH)

    def no_room(*_: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(recording, "Recording", no_room)
    recorder = Recorder()
    warm(recorder)
    assert recorder.recording(WORK, BATCH) is None
    assert waits == ["recovered"] and not recorder.wants(BATCH)
