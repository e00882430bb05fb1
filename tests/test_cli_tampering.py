"""A run that somebody tampered with: it is refused, and nothing of it is ever executed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from story_cases import STORY, place, trained

from dlspec.cli.main import main
from dlspec.runtime.manifest import read_manifest, write_manifest
from dlspec.runtime.rundir import text_hash

__all__ = ["place", "trained"]  # fixtures


PLANT = "\nimport pathlib; pathlib.Path('planted').touch()\n"
USES = [
    ["evaluate", "run"],
    ["resume", "run"],
    ["generate", "run", "--prompt", "a"],
    ["predict", "run", "--input", "x.npy"],
    ["export", "run", "-o", "out"],
]


def plant(place: Path, name: str = "story.py") -> None:
    with (place / "run" / name).open("a") as file:
        file.write(PLANT)


@pytest.mark.parametrize("use", USES, ids=lambda words: words[0])
@pytest.mark.parametrize("name", ["story.py", "story_recipe.py"])
def test_an_edited_copy_is_shown_and_never_runs(
    place: Path, use: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(place, name)
    assert main(use) == 1
    err = capsys.readouterr().err
    assert f"+++ {name} in the run" in err and "+import pathlib; pathlib.Path('planted').touch()" in err
    assert "--trust-run-code" in err
    assert not (place / "planted").exists() and not (place / "out").exists()


def test_a_copy_with_a_forged_manifest_does_not_run_either(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The manifest is no protection; that the spec gives other code is."""
    plant(place)
    manifest = read_manifest(place / "run")
    code = (place / "run" / "story.py").read_text()
    forged = {**manifest.texts, "story.py": text_hash(code)}
    write_manifest(place / "run", type(manifest)(**{**vars(manifest), "texts": forged}))
    assert main(["evaluate", "run"]) == 1
    assert "is not what its spec gives" in capsys.readouterr().err
    assert not (place / "planted").exists()


def test_an_edited_copy_runs_where_it_is_trusted_and_says_so(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant(place)
    assert main(["evaluate", "run", "--trust-run-code"]) == 0
    assert "the code that runs is the copy in run" in capsys.readouterr().err
    assert (place / "planted").exists()
    assert main(["export", "run", "-o", "out", "--trust-run-code"]) == 0  # its spec's model, proved against the copy


def test_a_trusted_copy_that_computes_something_else_is_not_exported(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = place / "run" / "story.py"
    code.write_text(code.read_text().replace("return self.head(x)", "return self.head(2 * x)"))
    assert main(["export", "run", "-o", "out", "--trust-run-code"]) == 5
    assert "does not do what the trained model does" in capsys.readouterr().err
    assert not (place / "out").exists()


@pytest.mark.parametrize("name", ["resolved.json", "spec.dlspec", "manifest.json"])
def test_a_damaged_run_is_refused(place: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = place / "run" / name
    file.write_bytes(file.read_bytes().replace(b"Story", b"Stori", 1))
    assert main(["evaluate", "run"]) == 1
    assert "damaged" in capsys.readouterr().err
    file.unlink()
    assert main(["evaluate", "run"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def rewritten(place: Path, **changes: Any) -> None:
    """The run with another resolved.json, as a dlspec that wrote it would have left it."""
    run = place / "run"
    text = json.dumps(json.loads((run / "resolved.json").read_text()) | changes)
    (run / "resolved.json").write_text(text)
    manifest = read_manifest(run)
    texts = {**manifest.texts, "resolved.json": text_hash(text)}
    write_manifest(run, type(manifest)(**{**vars(manifest), "texts": texts}))


def test_a_newer_format_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewritten(place, schema=2)
    assert main(["evaluate", "run"]) == 1
    assert "resolved.json has format 2, this dlspec reads format 1" in capsys.readouterr().err


def test_code_of_another_version_names_that_version(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewritten(place, dlspec="0.0.9")
    assert main(["evaluate", "run"]) == 0  # it gives the same code, whatever wrote it
    capsys.readouterr()
    changed = (place / "run" / "story.py").read_text().replace("x = ", "h = ", 1)
    (place / "run" / "story.py").write_text(changed)
    assert main(["evaluate", "run"]) == 1
    err = capsys.readouterr().err
    assert "run was made by dlspec 0.0.9, and this is dlspec" in err and "Use dlspec 0.0.9, or say" in err
    assert "Traceback" not in err


def test_a_spec_that_this_version_no_longer_reads(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = STORY.replace("Embedding(vocab, width)", "Embeding(vocab, width)")
    rewritten(place, source={"name": "story.dlspec", "text": text}, dlspec="0.0.9")
    assert main(["evaluate", "run"]) == 1
    err = capsys.readouterr().err
    assert "0.0.9" in err and "Embeding" in err
    assert main(["evaluate", "run", "--trust-run-code"]) == 0
    assert main(["export", "run", "-o", "out", "--trust-run-code"]) == 1
