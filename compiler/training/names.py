"""What a name in `loss` or `metrics` stands for: an output or input of the model, `data.field`, or a constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..semantics.evaluate import FAULT, Scope, evaluate, is_number
from ..semantics.nearest import nearest
from ..semantics.report import Report
from ..semantics.tensor import UNKNOWN
from .dataset import Data
from .fit import Fit
from .measure import Value
from .ports import Ports
from .source import Field


class Names(Frozen):
    """`data` is None where the data was not understood: then every field may be there.

    `told` has the pairs of which something was said already.
    """

    ports: Ports
    data: Data | None
    fit: Fit
    scope: Scope
    report: Report
    told: set[tuple[str, str]] = field(default_factory=set)

    @property
    def fields(self) -> Mapping[str, Field] | None:
        return None if self.data is None else self.data.fields

    def value(self, flow: tree.Flow) -> Value | None:
        """The value that a flow names, or None (reported). A field that is misspelt (reported) is the one that was
        meant."""
        match flow:
            case tree.Stage(path=tree.Path(parts=("data", name)) as path, args=None, body=None):
                return self._field(name, path.span)
            case tree.Stage(path=tree.Path(parts=(name,)) as path, args=None, body=None):
                found = self._port(name, path.span)
                if found is not None or self.scope.find(name) is None:
                    return found or self._unknown(name, path.span)
            case tree.Stage(path=path, args=None, body=None):
                return self._unknown(str(path), path.span)
        number = evaluate(flow, self.scope, self.report)
        if number is FAULT:
            return None
        if not is_number(number):
            help = "the model computes; a loss compares what it gives: `logits`, `data.label`, `0.5`"
            message = "a loss or metric takes outputs, inputs, fields of the data and numbers"
            self.report.error("wrong-value", message, flow.span, "none of these", help=help)
            return None
        return Value("constant", "", UNKNOWN, flow.span, number=number)

    def _port(self, name: str, span: Span) -> Value | None:
        if name in self.ports.outputs:
            return Value("output", name, self.fit.seen(self.ports.outputs[name]), span)
        if name in self.ports.inputs:
            return Value("input", name, self.fit.seen(self.ports.inputs[name]), span)
        return None

    def _field(self, name: str, span: Span) -> Value | None:
        fields = self.fields
        if fields is None:
            return Value("data", name, UNKNOWN, span)
        if name in fields:
            return Value("data", name, self.fit.of_field(fields[name]), span, fields[name])
        assert self.data is not None
        if name in self.data.perhaps:
            return Value("data", name, UNKNOWN, span)
        word = self.data.source.options.word
        meant = nearest(name, fields)
        listed = ", ".join(f"`data.{one}`" for one in fields)
        self.report.error(
            "unknown-field",
            f"`{word}` has no field `{name}`",
            span,
            "not in the data",
            help=f"write `data.{meant}`" if meant else f"it has {listed}",
            fixes=(Fix(span, f"data.{meant}"),) if meant else (),
            labels=((self.data.source.span, "the data"),),
        )
        return Value("data", meant, self.fit.of_field(fields[meant]), span, fields[meant]) if meant else None

    def _unknown(self, name: str, span: Span) -> None:
        fields = self.fields or {}
        if name in fields:
            self.report.error(
                "unknown-name",
                f"`{name}` is a field of the data",
                span,
                f"no output or input of {self.ports.model}",
                help=f"write `data.{name}`",
                fixes=(Fix(span, f"data.{name}"),),
            )
            return
        legal = [*self.ports.outputs, *self.ports.inputs, *(f"data.{one}" for one in fields)]
        where = f": a loss names outputs and inputs of {self.ports.model}, `data.field` and constants"
        self.report.unknown("value", name, span, legal or self.ports.outputs, where=where)
