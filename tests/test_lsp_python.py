"""What an editor says of layers written in Python, whose file it reads and never runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsp_cases import Editor, EditorClient, client
from lsprotocol import types
from python_layer_cases import SPEC, WAVELET

pytestmark = [pytest.mark.no_torch, pytest.mark.asyncio(loop_scope="module")]
__all__ = ["client"]  # a fixture


def opened(client: EditorClient, folder: Path, python: str = WAVELET) -> Editor:
    (folder / "wavelet.py").write_text(
        f"open({str(folder / 'ran')!r}, 'w')\n" + python.replace("from __future__ import annotations\n", "")
    )
    return Editor(client, (folder / "net.dlspec").as_uri(), SPEC).open()


async def test_that_it_does_not_run_is_information(client: EditorClient, tmp_path: Path) -> None:
    editor = opened(client, tmp_path)
    (told,) = await editor.findings()
    assert (told.code, told.severity) == ("python-not-allowed", types.DiagnosticSeverity.Information)
    assert editor.cut(told.range) == '"wavelet.py"' and not (tmp_path / "ran").exists()


async def test_its_documentation_options_and_place_are_read(client: EditorClient, tmp_path: Path) -> None:
    editor = opened(client, tmp_path)
    text = await editor.hover_text("Wavelet")
    assert "Wavelet(levels = 1, kind = haar, spread = 0.1)" in text and "the coarse part of a Haar transform" in text
    assert "Takes haar or mean." in await editor.hover_text("kind")
    place = await editor.definition("Wavelet")
    assert place is not None and place.uri.endswith("wavelet.py") and place.range.start.line == 10
    items = await editor.typed("  wave: Wavelet(", "k")
    assert {"levels", "kind", "spread"} <= items.keys()
    assert "Wavelet" in await editor.typed("  wave: ", "Wa")


async def test_faults_of_the_file_are_told_at_the_import(client: EditorClient, tmp_path: Path) -> None:
    editor = opened(client, tmp_path, WAVELET.replace("levels: int = 1", "levels = 1"))
    found = await editor.findings()
    (fault,) = [one for one in found if one.code == "python-file"]
    assert "the imported file has an error: the option `levels` of `Wavelet` has no annotation" in fault.message
