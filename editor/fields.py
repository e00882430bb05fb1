"""The fields of the data of a `train` section, also while other lines of it are unfinished."""

from __future__ import annotations

from collections.abc import Mapping

from ..compiler.semantics.imports import Importer
from ..compiler.semantics.number import written
from ..compiler.semantics.report import Unheard
from ..compiler.semantics.resolve import resolve
from ..compiler.training.dataset import read_data
from ..compiler.training.source import Field
from ..grammar import tree
from .document import Document


def fields(train: tree.Train, document: Document) -> Mapping[str, Field]:
    """Field by name; empty where the data is not understood, or known only when it is read."""
    line = next((n for n in train.body.lines if isinstance(n, tree.Binding) and n.name.text == "data"), None)
    if line is None:
        return {}
    report = Unheard()
    imports = Importer(document.files.read, report).imports(document.source, document.file)
    data = read_data(line.value, resolve(document.source, document.file, report, imports).scope, report)
    return {} if data is None else data.fields or {}


def field_type(field: Field) -> str:
    """The type of a field as the model sees it: a batch of examples."""
    dims = ["..."] if field.dims is None else map(written, field.dims)
    return f"{'' if field.dtype == 'float' else field.dtype}[{', '.join(['B', *dims])}]"
