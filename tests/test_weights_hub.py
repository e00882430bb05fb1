"""Published models that cannot be had: each way says what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from dlspec.runtime import Refused
from dlspec.runtime.weights import open_start

huggingface_hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")


def refusal(folder: Path, name: str) -> str:
    with pytest.raises(Refused) as caught:
        open_start({"word": "hub", "source": name, "map": [], "skip": [], "into": None}, folder)
    return f"{caught.value.message}\n{caught.value.help}"


def http_error(kind: str) -> Exception:
    """An error as the hub's client raises it, whatever it takes to make one."""
    error = getattr(huggingface_hub.errors, kind)
    made = error.__new__(error)
    Exception.__init__(made, "503 Server Error. (Request ID: 1)\n\nNo more is said.")
    return made


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        ("RepositoryNotFoundError", "the hub has no model someone/tiny, or none that it shows you"),
        ("GatedRepoError", "the hub gives someone/tiny to those only who have accepted its terms"),
        ("HfHubHTTPError", "the hub does not give someone/tiny: 503 Server Error. (Request ID: 1)\nTry it later."),
        ("EntryNotFoundError", "someone/tiny holds no model.safetensors\nTake a model"),
        ("LocalEntryNotFoundError", "model.safetensors of someone/tiny is not in the cache, and the hub cannot be"),
        ("OfflineModeIsEnabled", "is not in the cache, and the hub cannot be reached\nWhere there is a network: `hf"),
    ],
)
def test_what_the_hub_does_not_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: str, says: str) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise http_error(raised)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    assert says in refusal(tmp_path, "someone/tiny")


def test_without_its_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert 'pip install "dlspec[hub]"' in refusal(tmp_path, "gpt2")


@pytest.mark.parametrize("name", ["a/b/c", "a b", "owner/"])
def test_what_is_no_name(tmp_path: Path, name: str) -> None:
    assert f"`{name}` is no name of a model of the hub" in refusal(tmp_path, name)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "./nowhere is not there, and the training is to start from it" in refusal(tmp_path, "./nowhere")
