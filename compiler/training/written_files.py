"""The name of a file that stands where a source of data does, and the source that reads such a file."""

from __future__ import annotations

import re

from ...grammar import tree
from ..semantics.nearest import nearest
from . import registry
from .language import SOURCES
from .source import DataSource

_READ = {
    "gz": 'idx("{}", "train-labels.gz")',
    "csv parquet jsonl": 'table("{}", features = ["a", "b"], target = "c")',
    "npz": 'arrays("{}")',
    "txt": 'text("{}", tokenizer = characters, window = 64)',
    "bin": 'tokens("{}", window = 64)',
}


def file_named(flow: tree.Flow) -> str:
    """`x.gz` for `x.gz` and `"x.gz"`; empty for what names no file."""
    text = flow.span.text
    quoted = re.fullmatch(r'"([^"]+)"', text)
    name = quoted[1] if quoted else text if re.fullmatch(r"[\w./*-]+\.[a-z0-9]+", text) else ""
    return "" if name.startswith("data.") or ("." not in name and "/" not in name) else name


def source_that_reads(flow: tree.Flow) -> str:
    """A call of the source that reads the file that a flow names; empty where none is known by its ending."""
    name = file_named(flow)
    ending = name.rpartition(".")[2].lower()
    return next((call.format(name) for endings, call in _READ.items() if ending in endings.split()), "")


def option_for_file(flow: tree.Flow) -> str:
    """The option that names the file in a source, `images` of `idx(..)`; empty where it reads none."""
    first = flow.stages[0] if isinstance(flow, tree.Then) else flow
    word = str(first.path) if isinstance(first, tree.Stage) else ""
    kind = registry.find("data", nearest(word, SOURCES.words) or word, DataSource) if word else None
    return "" if kind is None else next((name for name, field in kind.options.items() if field.required), "")
