"""An Embedding that a field of the data is put into has a row for each number that the field can hold."""

from __future__ import annotations

from ..ir.graph import Graph
from ..ir.rows import smallest_tables
from ..semantics.number import Number, Reference, valued, whole, written
from ..semantics.report import Report
from .plan import TrainPlan


def check_tables(plan: TrainPlan, graph: Graph, report: Report) -> None:
    """Reports tables that are smaller than the tokens or classes of the data. More rows are never asked for, and do no
    harm."""
    counted = _counted(plan)
    for name, table in smallest_tables(graph).items():
        wanted, rows = counted.get(name), table.layer.count
        if wanted is None or whole(rows) >= whole(wanted):
            continue
        source = plan.data.source
        what = "tokens" if source.options.vocabulary or source.options.tokenizes() else "classes"
        facts = f"an Embedding of {valued(rows)} rows looks up `{name}`"
        report.error(
            "small-table",
            f"{facts}, and `data.{plan.bind[name]}` of `{source.options.word}` has {valued(wanted)} {what}",
            table.span,
            f"has the rows 0 to {whole(rows) - 1:,}",
            help=_larger(rows, wanted) or f"write `Embedding({written(wanted)}, {written(table.layer.dim)})`",
            labels=((source.span, f"{valued(wanted)} {what}"),),
        )


def _larger(rows: Number, wanted: Number) -> str:
    """How the name is given another number that the rows come from; empty where they come from none."""
    if not isinstance(rows, Reference):
        return ""
    while isinstance(rows.target, Reference) and rows.kind != "constant":
        rows = rows.target
    return (
        f"write `{rows.name} = {written(wanted)}`"
        if rows.kind == "constant"
        else f"let `{rows.name}` be {written(wanted)}"
    )


def _counted(plan: TrainPlan) -> dict[str, Number]:
    """How many values the fields of inputs count from 0, by input, where that is known."""
    fields = plan.data.fields or {}
    found = {name: fields[field].classes for name, field in plan.bind.items() if field in fields}
    return {name: classes for name, classes in found.items() if classes is not None and classes.value is not None}
