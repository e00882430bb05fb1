"""Where an offset lies in the tree, and which page of the documentation a word there stands for."""

from __future__ import annotations

from collections.abc import Sequence

from ..grammar import tree
from .document import Document
from .documentation import Page, calls_of_key, formats, layer, maths, python_layer


def chain_at(file: tree.File, offset: int) -> list[tree.Node]:
    """The nodes around an offset, from the file to the innermost."""
    chain: list[tree.Node] = [file]
    while True:
        inner = [node for node in tree.children(chain[-1]) if node.span.start <= offset <= node.span.end]
        if not inner:
            return chain
        # Between two nodes that touch, the one that begins here.
        chain.append(inner[-1])


def section_of(chain: Sequence[tree.Node]) -> tree.Train | tree.Export | None:
    return next((node for node in chain if isinstance(node, tree.Train | tree.Export)), None)


def key_of(chain: Sequence[tree.Node]) -> tree.Binding | None:
    """The key of `train` that the chain's last node belongs to."""
    if not isinstance(section_of(chain), tree.Train):
        return None
    return next((node for node in reversed(chain) if isinstance(node, tree.Binding)), None)


def page_of(stage: tree.Stage, chain: Sequence[tree.Node], document: Document) -> Page | None:
    """The page of the library's word that a stage begins with; None for names of the file's own."""
    word = str(stage.path)
    mention = document.index.at(stage.path.span.start)
    if mention is not None and mention.span.start == stage.path.span.start:
        return None
    section = section_of(chain)
    if isinstance(section, tree.Export):
        return next((page for page in formats() if page.word == word), None)
    if isinstance(section, tree.Train):
        key = key_of(chain)
        found = () if key is None else calls_of_key(key.name.text)
        return next((page for page in found if page.word == word), None) or maths(word)
    if word in document.python:
        return python_layer(document.python[word])
    return layer(word) or maths(word)
