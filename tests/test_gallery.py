"""The gallery in docs/gallery is what `make docs` writes, has every system, and says what was measured."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
SPECS = {path.stem for path in (ROOT / "specs").glob("*.dlspec")}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files that a run of the script writes."""
    folder = tmp_path_factory.mktemp("gallery")
    run = subprocess.run([sys.executable, ROOT / "docs" / "gallery.py", folder], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_it_is_up_to_date(written: dict[str, str]) -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "gallery").glob("*.[ms][dv]*")}
    assert kept.keys() == written.keys()
    assert [name for name, text in written.items() if kept[name] != text] == [], "`make docs` writes them anew"


def test_every_system_is_in_it_once(written: dict[str, str]) -> None:
    links = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\)", written["README.md"], re.MULTILINE)
    assert Counter(name for name, _ in links) == Counter(SPECS)
    assert all(name == page for name, page in links)


def test_a_page_has_the_spec_as_it_ships(written: dict[str, str]) -> None:
    for name in SPECS:
        (block,) = re.findall(r"```dlspec\n(.*?)```", written[f"{name}.md"], re.DOTALL)
        assert block == (ROOT / "specs" / f"{name}.dlspec").read_text(encoding="utf-8")
        assert f'src="{name}.svg"' in written[f"{name}.md"]


def test_pictures_are_svg(written: dict[str, str]) -> None:
    pictures = [name for name in written if name.endswith(".svg")]
    assert {name.removesuffix(".svg") for name in pictures} >= SPECS
    for name in pictures:
        assert ElementTree.fromstring(written[name]).tag == "{http://www.w3.org/2000/svg}svg"


def test_what_was_reached_is_what_was_recorded(written: dict[str, str]) -> None:
    records = json.loads((ROOT / "benchmarks" / "results" / "classics.json").read_text(encoding="utf-8"))
    newest = {one["spec"]: one for one in records}
    assert newest
    for name, one in newest.items():
        assert f"Reached: {one['accuracy']:.2%} in " in written[f"{name}.md"]
    silent = SPECS - newest.keys() - {"chargpt", "simclr", "transformer"}
    assert all("Reached" not in written[f"{name}.md"] for name in silent)
