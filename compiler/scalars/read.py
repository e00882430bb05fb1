"""From the text of a function to an expression.

Every name is looked up, every call is held to the number of its arguments, and what is no scalar expression is refused
with what to write instead. A constant of the file becomes a number that keeps its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...grammar import tree
from ...grammar.source import Span
from ..semantics.arithmetic import COMPARISONS, MATHS, NumberError, apply
from ..semantics.evaluate import FAULT, Scope, evaluate, is_number
from ..semantics.language import is_library
from ..semantics.nearest import nearest
from ..semantics.number import Number, number, operation
from ..semantics.report import Report
from . import refusals
from .activations import OPTIONS, activation
from .arguments import SCORE, match_arguments
from .expression import (
    ONE,
    ZERO,
    Call,
    Compute,
    Constant,
    Expression,
    Parameter,
    ScalarFunction,
    Variable,
    compute,
    is_truth,
)
from .size import DEEPEST, LARGEST, Size, size

Read = Expression | bool | None
"""A truth that is known when the model is built is a bool; None is what was reported."""

_CHAIN = 100
"""So many functions may call one another in a row."""


class Functions:
    """The functions of a file, read when first asked for, in any order.

    `written` are those of the file itself, whose constants `scope` has; `imported` are those of others.
    """

    def __init__(
        self,
        written: Mapping[str, tree.Function],
        scope: Scope,
        report: Report,
        imported: Mapping[str, ScalarFunction] | None = None,
    ) -> None:
        self.scope, self.report = scope, report
        self.written = written
        self._read: dict[str, ScalarFunction | None] = dict(imported or {})
        self._open: list[str] = []
        self._sizes: dict[ScalarFunction, Size] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.written or name in self._read

    def names(self) -> Iterable[str]:
        return {**self._read, **self.written}.keys()

    def find(self, name: str) -> ScalarFunction | None:
        """The function, or None where there is none or it has a mistake, which is reported once."""
        if name not in self._read and name in self.written:
            self._open.append(name)
            found = self._function(self.written[name])
            self._open.pop()
            # A circle is reported at the function where it was found, and those inside it have no value.
            self._read[name] = found
        return self._read.get(name)

    def read_all(self) -> None:
        """Report the mistakes of every function, whether anything uses it or not."""
        for name in self.written:
            self.find(name)

    def called(self, name: str, place: Span) -> ScalarFunction | None:
        """`find`, for a call inside a function: one that leads back to a function being read is a circle."""
        if name in self._open:
            circle = " -> ".join([*self._open[self._open.index(name) :], name])
            refusals.endless(circle, place, self.report)
            return None
        if len(self._open) >= _CHAIN and name not in self._read:
            refusals.long_chain(_CHAIN, place, self.report)
            return None
        return self.find(name)

    def _function(self, written: tree.Function) -> ScalarFunction | None:
        refusals.check_function_name(written.name, self.report)
        if not written.params:
            refusals.no_parameters(written, self.report)
            return None
        parameters = self._parameters(written)
        names = [p.name.text for p in written.params]
        reader = _Reader(names, self)
        value = reader.number(written.value)
        if parameters is None or value is None:
            return None
        if not self._check_used(written, reader.used):
            return None
        function = ScalarFunction(written.name.text, parameters, value)
        full = size(value, self._sizes)
        if full.operations > LARGEST or full.depth > DEEPEST:
            refusals.too_large(written.name, full, self.report)
            return None
        return function

    def _parameters(self, written: tree.Function) -> tuple[Parameter, ...] | None:
        found: dict[str, Parameter] = {}
        fits = True
        for param in written.params:
            name, default = param.name.text, None
            if name in found:
                refusals.repeated_parameter(param, written, self.report)
                fits = False
                continue
            if param.default is not None:
                default = self._default(param.default, written)
                fits = fits and default is not None
            elif any(p.default is not None for p in found.values()):
                refusals.default_before(param, written, self.report)
                fits = False
            found[name] = Parameter(name, default)
        return tuple(found.values()) if fits else None

    def _default(self, flow: tree.Flow, written: tree.Function) -> Number | None:
        names = {param.name.text for param in written.params}
        of_parameters = any(isinstance(node, tree.Path) and node.parts[0] in names for node in tree.walk(flow))
        value = None if of_parameters else evaluate(flow, self.scope, self.report)
        if is_number(value):
            return value
        if value is not FAULT:
            refusals.default_no_number(flow, self.report)
        return None

    def _check_used(self, written: tree.Function, used: set[str]) -> bool:
        names = [p.name.text for p in written.params]
        given = set(SCORE[1:]) if names[:1] == ["s"] else set()  # a score gets them, whether it reads them or not
        unused = [p for p in written.params if p.name.text not in used | given]
        for param in unused:
            refusals.unused_parameter(param, written, self.report)
        return not unused


def read_expression(flow: tree.Flow, parameters: Sequence[str], functions: Functions) -> Expression | None:
    """A flow as an expression over these parameters, a number; None where it has a mistake (reported)."""
    return _Reader(parameters, functions).number(flow)


class _Reader:
    """Reads the text of one function; `used` are the parameters that were met."""

    def __init__(self, parameters: Sequence[str], functions: Functions) -> None:
        self._parameters, self._functions = parameters, functions
        self._scope, self._report = functions.scope, functions.report
        self.used: set[str] = set()

    def number(self, flow: tree.Flow) -> Expression | None:
        """What is true counts 1, what is false 0."""
        return self._as_number(self._read(flow))

    def _as_number(self, found: Read) -> Expression | None:
        if isinstance(found, bool):
            return ONE if found else ZERO
        return compute("if", found, ONE, ZERO) if found is not None and is_truth(found) else found

    def _read(self, flow: tree.Flow) -> Read:
        match flow:
            case tree.Number() | tree.Percent():
                value = evaluate(flow, self._scope, self._report)
                return Constant(value)
            case tree.Bool(value=value):
                return value
            case tree.Negate(operand=operand):
                return self._operation("neg", [self.number(operand)], flow)
            case tree.Binary(operator=operator, left=left, right=right):
                return self._binary(operator, self._read(left), self._read(right), flow)
            case tree.Choice():
                return self._choice(flow)
            case tree.Stage(path=path, args=args, body=None):
                return self._name(path) if args is None else self._call(flow)
        refusals.not_scalar(flow, self._report)
        return None

    # --- operators ---

    def _binary(self, operator: str, left: Read, right: Read, flow: tree.Binary) -> Read:
        if left is None or right is None:
            return None
        if operator in ("+", "*") and _is_condition(left) and _is_condition(right):
            return _joined("or" if operator == "+" else "and", left, right)
        a, b = self._as_number(left), self._as_number(right)
        if a is None or b is None:
            return None
        if operator in COMPARISONS:
            if isinstance(a, Constant) and isinstance(b, Constant) and not (a.number.open or b.number.open):
                assert a.number.value is not None and b.number.value is not None
                return bool(apply(operator, a.number.value, b.number.value))
            return compute(operator, a, b)
        if operator in ("/", "//", "%") and isinstance(b, Constant) and b.number.value == 0:
            refusals.no_value("a division by zero", flow.span, self._report)
            return None
        return self._operation(operator, [a, b], flow)

    def _operation(self, operator: str, operands: list[Expression | None], flow: tree.Flow) -> Expression | None:
        """The operation; of numbers that are known it is a number again, which keeps how it was written."""
        parts = [part for part in operands if part is not None]
        if len(parts) < len(operands):
            return None
        if not all(isinstance(part, Constant) for part in parts):
            return _computed(operator, parts)
        try:
            return Constant(operation(operator, *(part.number for part in parts if isinstance(part, Constant))))
        except NumberError as error:
            refusals.no_value(str(error), flow.span, self._report)
            return None

    def _choice(self, flow: tree.Choice) -> Read:
        condition, then, otherwise = self._read(flow.condition), self._read(flow.then), self._read(flow.otherwise)
        if condition is not None and not _is_condition(condition):
            refusals.not_a_condition(flow.condition, self._report)
            return None
        if condition is None or then is None or otherwise is None:
            return None
        if isinstance(condition, bool):
            return then if condition else otherwise
        if otherwise is False and _is_condition(then):
            return _joined("and", condition, then)
        if then is True and _is_condition(otherwise):
            return _joined("or", condition, otherwise)
        if isinstance(then, bool) or isinstance(otherwise, bool) or is_truth(then) != is_truth(otherwise):
            then, otherwise = self._as_number(then), self._as_number(otherwise)
            assert then is not None and otherwise is not None
        return compute("if", condition, then, otherwise)

    # --- names and calls ---

    def _name(self, path: tree.Path) -> Read:
        word = str(path)
        if word in self._parameters:
            self.used.add(word)
            return Variable(word)
        found = self._scope.find(word) if len(path.parts) == 1 else None
        if is_number(found):
            return Constant(found)
        if isinstance(found, bool):
            return found
        if found is FAULT:
            return None
        if found is not None:
            refusals.no_number(path, self._report)
        elif word == "identity":
            refusals.identity(path, self._parameters, self._report)
        elif word in MATHS or word in OPTIONS or word in self._functions:
            refusals.bare_function(path, self._parameters, self._report)
        elif self._is_flow(word):
            refusals.not_pointwise(path, self._report)
        elif not refusals.known_number(path, self._report):
            numbers = [*self._parameters, *self._scope.names()]
            legal = [*numbers, *MATHS, *OPTIONS, *self._functions.names()]
            self._report.unknown("name", word, path.span, legal if nearest(word, legal) else numbers)
        return None

    def _is_flow(self, word: str) -> bool:
        return word in self._scope.flows() or is_library(word)

    def _call(self, stage: tree.Stage) -> Expression | None:
        word = str(stage.path)
        if word in self._functions:
            return self._own_call(word, stage)
        if word in MATHS:
            return self._maths(word, stage)
        if word in OPTIONS:
            return self._activation(word, stage)
        if not word[:1].isupper() or not is_library(word):  # whose options are no numbers of this function
            self._look_into(stage)
        if self._is_flow(word):
            refusals.not_pointwise(stage.path, self._report)
        elif word in self._parameters or is_number(self._scope.find(word)):
            refusals.called_number(stage, self._report)
        elif not refusals.rewritten(stage, self._report):
            legal = [*MATHS, *OPTIONS, *self._functions.names()]
            spelling = {word: refusals.FOREIGN.get(stage.path.parts[-1], stage.path.parts[-1])}
            self._report.unknown("function", word, stage.path.span, legal, spelling, code="unknown-function")
        return None

    def _look_into(self, stage: tree.Stage) -> None:
        """Read the arguments of a call that is wrong itself: each mistake is told."""
        for arg in stage.args or ():
            self._read(arg.value if isinstance(arg, tree.Keyword) else arg)

    def _own_call(self, word: str, stage: tree.Stage) -> Expression | None:
        function = self._functions.called(word, stage.path.span)
        if function is None:
            self._look_into(stage)
            return None
        given = self._given(stage, function.parameters)
        if given is None:
            return None
        defaults = {p.name: Constant(p.default) for p in function.parameters if p.default is not None}
        return Call(function, tuple(given.get(p.name) or defaults[p.name] for p in function.parameters))

    def _given(self, stage: tree.Stage, parameters: Sequence[Parameter]) -> dict[str, Expression] | None:
        flows = match_arguments(stage, parameters, self._report)
        if flows is None:
            self._look_into(stage)
            return None
        read = {name: self.number(flow) for name, flow in flows.items()}
        given = {name: value for name, value in read.items() if value is not None}
        return given if len(given) == len(flows) else None

    def _maths(self, word: str, stage: tree.Stage) -> Expression | None:
        args = stage.args or ()
        fits = refusals.check_count(word, stage, self._parameters, self._report)
        values = [self.number(arg.value if isinstance(arg, tree.Keyword) else arg) for arg in args]
        return self._operation(word, values, stage) if fits else None

    def _activation(self, word: str, stage: tree.Stage) -> Expression | None:
        if word == "gelu":
            word, stage = self._gelu(stage)
        options = {} if word == "gelu_tanh" else OPTIONS[word]
        parameters = [Parameter("x"), *(Parameter(name, number(value)) for name, value in options.items())]
        given = self._given(stage, parameters)
        if given is None:
            return None
        return activation(word, given["x"], *(given.get(p.name) or _default(p) for p in parameters[1:]))

    def _gelu(self, stage: tree.Stage) -> tuple[str, tree.Stage]:
        """`approximate = tanh` is a word and no number: it is taken out of the arguments."""
        for arg in stage.args or ():
            if isinstance(arg, tree.Keyword) and arg.name.text == "approximate":
                rest = tuple(other for other in stage.args or () if other is not arg)
                words = {"none": "gelu", "tanh": "gelu_tanh", '"tanh"': "gelu_tanh"}
                word = words.get(arg.value.span.text)
                if word is None:
                    refusals.wrong_word(arg.value, ("none", "tanh"), "approximate", self._report)
                return word or "gelu", tree.Stage(stage.path, rest, None, span=stage.span)
        return "gelu", stage


def _default(parameter: Parameter) -> Constant:
    assert parameter.default is not None
    return Constant(parameter.default)


def _is_condition(found: Expression | bool) -> bool:
    return isinstance(found, bool) or is_truth(found)


def _joined(operator: str, left: Expression | bool, right: Expression | bool) -> Expression | bool:
    """`and` or `or` of two truth values, one or both of which may be known."""
    if isinstance(left, bool):
        left, right = right, left
    if isinstance(right, bool):
        decided = right == (operator == "or")
        return right if decided else left
    assert not isinstance(left, bool)
    return compute(operator, left, right)


def _computed(operator: str, parts: Sequence[Expression]) -> Expression:
    if operator == "round_up":
        x, step = parts
        return compute("*", compute("ceil", compute("/", x, step)), step)
    if operator in ("max", "min"):
        first, *rest = parts
        for part in rest:
            first = compute(operator, first, part)
        return first
    return Compute(operator, tuple(parts))
