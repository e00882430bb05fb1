"""`make docs`: writes the language reference, docs/reference/, from the classes of the language and from docs/prose/.

A page of prose becomes a page of the reference: a line `<!-- section: words -->` in it is replaced by what that section
makes of the classes that the words name. What a class says is said in its file, once.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser
from pathlib import Path

from sections import SECTIONS
from sections.samples import check, with_messages

HERE = Path(__file__).resolve().parent
_MARK = re.compile(r"<!-- (\w+):?(.*?) -->", re.DOTALL)


def page(prose: str) -> str:
    """A page of prose with its sections filled in, and below each wrong example what is said of it.

    Raises KeyError for a section that there is not, and WrongExample for an example that is not what the page says.
    """
    text = _MARK.sub(lambda mark: SECTIONS[mark[1]](mark[2].split()).strip(), prose)
    check(text)
    return with_messages(text)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for prose in sorted((HERE / "prose").glob("*.md")):
        (folder / prose.name).write_text(page(prose.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    arguments = ArgumentParser(description="Write the language reference.")
    arguments.add_argument(
        "folder", type=Path, nargs="?", default=HERE / "reference", help="docs/reference if left out"
    )
    main(arguments.parse_args().folder)
