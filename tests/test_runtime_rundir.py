"""The run directory: never overwritten, held by one process, and refused with the reason where it was changed."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from runtime_cases import gpt, newest, open_windows

from dlspec.runtime import Refused, evaluate, load_model, next_run_path, resume, train, verify_run
from dlspec.runtime.manifest import NAME, encode, read_manifest
from dlspec.runtime.program import canonical_json
from dlspec.runtime.rundir import locked

TEXTS = {"spec.dlspec": "dlspec 1\n", "resolved.json": '{"name": "gpt"}\n'}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that stopped after two steps."""
    train(gpt(), tmp_path, tmp_path / "run", texts=TEXTS, command="dlspec train", open_data=open_windows, until=2)
    return tmp_path / "run"


def test_what_is_in_it(run: Path) -> None:
    program = gpt()
    names = {path.name for path in run.iterdir()}
    assert names == {*TEXTS, "gpt.py", "gpt_recipe.py", "metrics.jsonl", "manifest.json", "checkpoints", "lock"}
    whole = verify_run(run)
    assert whole.texts == {**TEXTS, "gpt.py": program.model_code, "gpt_recipe.py": program.recipe_code}
    manifest = whole.manifest
    assert (manifest.name, manifest.recipe, manifest.seed) == ("gpt", "GPT", 0)
    assert manifest.data == {"made": {"sha256": "0" * 64, "size": 540}}
    assert manifest.data_base == (str(run.parent.resolve()), "..")
    (session,) = manifest.sessions
    assert session.command == "dlspec train" and session.step == 0 and session.machine.device == "cpu"
    assert session.machine.python == sys.version.split()[0]
    assert json.loads((run / NAME).read_text())["format"] == 1


def test_nothing_is_overwritten(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (run / NAME).read_bytes()
    with pytest.raises(Refused, match="exists already, and a run is never overwritten") as caught:
        train(gpt(), tmp_path, run, open_data=open_windows)
    assert f"dlspec resume {run}" in caught.value.help and (run / NAME).read_bytes() == before
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match="exists already"):
        train(gpt(), tmp_path, tmp_path / "empty", open_data=open_windows)
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        assert train(gpt(), tmp_path, open_data=open_windows, until=1).run == Path("runs") / f"gpt-{number}"


def test_numbers_of_runs_are_not_used_again(tmp_path: Path) -> None:
    for name in ("gpt-1", "gpt-7", "gpt-x", "gpt-small-9", "other-12"):
        (tmp_path / name).mkdir()
    assert next_run_path("gpt", tmp_path) == tmp_path / "gpt-8"
    assert next_run_path("new", tmp_path / "none") == tmp_path / "none" / "new-1"


def test_another_process_was_quicker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder appears between the look and the rename."""
    from dlspec.runtime import rundir

    monkeypatch.setattr(rundir, "require_new", lambda path: None)
    monkeypatch.setattr("dlspec.runtime.sessions.require_new", lambda path: None)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "theirs").write_text("")
    with pytest.raises(Refused, match="exists already"):
        train(gpt(), tmp_path, tmp_path / "run", open_data=open_windows)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_is_held_by_one(run: Path) -> None:
    with locked(run):
        with pytest.raises(Refused, match="is being trained by another process"):
            resume(gpt(), run, open_data=open_windows)
        assert evaluate(gpt(), run, open_data=open_windows)["loss"], "reading is free"
    assert resume(gpt(), run, open_data=open_windows).finished == "steps"


# --- damage and edits -----------------------------------------------------------------------------------------------


def test_any_damage_to_the_manifest_shows(run: Path) -> None:
    path = run / NAME
    whole = path.read_bytes()
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 1 << (position % 8)
        path.write_bytes(broken)
        with pytest.raises(Refused):
            verify_run(run)
    for cut in (whole[:-1], whole[:100], b"", whole + b"\n", b"[]", b"{}", b'{"format": 1}', b"\xff"):
        path.write_bytes(cut)
        with pytest.raises(Refused, match="is damaged"):
            verify_run(run)
    path.write_bytes(whole)
    verify_run(run)


@pytest.mark.parametrize("name", [*TEXTS, "gpt.py", "gpt_recipe.py"])
def test_an_edited_or_missing_text_is_named(run: Path, name: str) -> None:
    path = run / name
    text = path.read_text()
    path.write_text(text.replace("1", "2").replace("gpt", "gpx") + "\n")
    for act in (
        lambda: verify_run(run),
        lambda: resume(gpt(), run, open_data=open_windows),
        lambda: evaluate(gpt(), run, open_data=open_windows),
        lambda: load_model(gpt(), run),
    ):
        with pytest.raises(Refused, match=f"{name} (was edited|is damaged or was edited)"):
            act()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(Refused, match="edited"):
        verify_run(run)
    path.unlink()
    with pytest.raises(Refused, match=f"{name} is missing"):
        verify_run(run)


def test_edited_code_is_read_on_purpose_only_and_never_runs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited = "print('it ran')\n"
    for name in ("gpt.py", "gpt_recipe.py"):
        (run / name).write_text(edited)
    assert verify_run(run, trust_code=True).texts["gpt.py"] == edited
    with pytest.raises(Refused):
        verify_run(run)
    load_model(gpt(), run, trust_code=True)
    resume(gpt(), run, trust_code=True, open_data=open_windows)
    assert "it ran" not in capsys.readouterr().out
    assert verify_run(run).texts["gpt.py"] == gpt().model_code, "what ran is laid in again"


def test_trusted_code_becomes_the_runs_code(run: Path) -> None:
    """The caller reads the copy and makes a program of it: from then on it is what the run was trained with."""
    copy = run / "gpt.py"
    copy.write_text(copy.read_text() + "# mine\n")
    mine = replace(gpt(), model_code=copy.read_text())
    resume(mine, run, trust_code=True, open_data=open_windows)
    assert verify_run(run).texts["gpt.py"].endswith("# mine\n")


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(Refused, match=r"is not a run: it has no manifest\.json"):
            verify_run(path)


def rewrite(run: Path, **changes: Any) -> None:
    """A manifest with other content and the right hash: made by a newer dlspec, or by somebody with bad intentions."""
    body = {**json.loads((run / NAME).read_text()), **changes}
    del body["sha256"]
    digest = sha256(canonical_json(body).encode()).hexdigest()
    (run / NAME).write_text(json.dumps({**body, "sha256": digest}, indent=2, ensure_ascii=False) + "\n")


def test_a_newer_format_is_refused(run: Path) -> None:
    rewrite(run, format=2, shape="unknown")
    with pytest.raises(Refused, match="has format 2, this dlspec reads formats up to 1"):
        verify_run(run)


@pytest.mark.parametrize(
    "name", ["../evil.py", "/evil.py", "checkpoints/x.py", "lock", "manifest.json", "..", "", "a\0.py"]
)
@pytest.mark.parametrize("key", ["texts", "incoming"])
def test_paths_that_lead_elsewhere_are_refused(run: Path, name: str, key: str) -> None:
    rewrite(run, **{key: {name: "x"}})
    with pytest.raises(Refused, match="is damaged"):
        resume(gpt(), run, open_data=open_windows)
    assert not (run.parent / "evil.py").exists()


@pytest.mark.parametrize(
    "changes", [{"sessions": "x"}, {"sessions": []}, {"texts": None}, {"data_base": 3}, {"more": 1}]
)
def test_a_manifest_of_another_shape_is_refused(run: Path, changes: dict[str, Any]) -> None:
    rewrite(run, **changes)
    with pytest.raises(Refused, match="is damaged"):
        verify_run(run)


def test_links_are_not_followed(run: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    for name in ("metrics.jsonl", "lock"):
        victim.write_text("precious\n")
        (run / name).rename(run / "aside")
        (run / name).symlink_to(victim)
        with pytest.raises(Refused, match=f"{name} cannot be written"):
            resume(gpt(), run, open_data=open_windows)
        assert victim.read_text() == "precious\n"
        (run / name).unlink()
        (run / "aside").rename(run / name)
    assert resume(gpt(), run, open_data=open_windows).finished == "steps"


def test_a_manifest_survives_a_round_trip(run: Path) -> None:
    manifest = read_manifest(run)
    assert encode(manifest) == (run / NAME).read_bytes()
    assert newest(run).name == "step-000002"
