"""What an unexpected token says about its line: one rule a mistake, and the first that knows it speaks.

mistakes.md shows what each of them deserves.
"""

from __future__ import annotations

from .diagnostics import Diagnostic
from .fault import OPERATORS, Fault, Outcome, Rule
from .mistakes_in_calls import (
    argument_without_parentheses,
    bracketed_names,
    call_or_index,
    labelled_parentheses,
    missing_sign,
    tuple_of_values,
    type_in_parentheses,
    type_of_tensors,
)
from .mistakes_in_heads import (
    bare_port,
    behind_as,
    colon_before_body,
    foreign_head,
    head_of_item,
    import_with_names,
    misplaced,
    misspelt_as,
    misspelt_head,
    named_twice,
    parameters_of_model,
    quoted_name,
)
from .mistakes_in_logic import logic_word
from .mistakes_in_names import already_reported, capital_word, reserved_word, wrong_case
from .mistakes_in_signs import (
    chained_comparison,
    colon_or_equals,
    commas,
    leading_operator,
    missing_else,
    number,
    second_label,
    unfinished_line,
    unit_of_time,
)
from .mistakes_in_statements import assignment, choice, loop, option_of_a_path
from .tables import END
from .tokens import NEWLINE, Token

RULES: tuple[Rule, ...] = (
    already_reported,
    import_with_names,
    bare_port,
    assignment,
    option_of_a_path,
    second_label,
    capital_word,
    quoted_name,
    misplaced,
    parameters_of_model,
    type_in_parentheses,
    type_of_tensors,
    wrong_case,
    colon_or_equals,
    reserved_word,
    choice,
    loop,
    foreign_head,
    misspelt_head,
    misspelt_as,
    behind_as,
    named_twice,
    logic_word,
    unfinished_line,
    leading_operator,
    unit_of_time,
    number,
    argument_without_parentheses,
    tuple_of_values,
    commas,
    chained_comparison,
    missing_else,
    labelled_parentheses,
    bracketed_names,
    call_or_index,
    missing_sign,
    colon_before_body,
    head_of_item,
)

_NOUNS = {"NUMBER": "the number ", "PERCENT": "the number ", "STRING": "the text ", "NAME": "the name "}
_SIGNS = ("->", "=", ":", ",", ".", "(", "[", "{", ")", "]", "}", "as", "else")


def explain(fault: Fault) -> Outcome:
    """The finding that a fault deserves and the repair that lets its line be read on, if there is one."""
    outcome = next(filter(None, (rule(fault) for rule in RULES)), None)
    return (_unexpected(fault), None) if outcome is None else outcome


def _unexpected(fault: Fault) -> Diagnostic:
    token, at_end = fault.token, fault.token.kind in (NEWLINE, END)
    label = f"behind {_spelled(fault.before)}" if fault.place else "at the beginning of the line"
    return Diagnostic(
        "unexpected",
        f"{_NOUNS.get(token.kind, '')}{_spelled(token)} cannot stand here",
        fault.gap() if at_end else fault.span(),
        label,
        help=_wanted(fault.wanted()),
    )


def _spelled(token: Token) -> str:
    return {NEWLINE: "the end of the line", END: "the end of the file"}.get(token.kind, f"`{token.text}`")


def _wanted(kinds: set[str]) -> str:
    """What could stand here, in words."""
    ways: list[str] = []
    value = "NUMBER" in kinds and "(" in kinds
    if value:
        ways.append("a value or a stage")
    elif "block" in kinds:
        ways.append("`name = ...`, `default`, `block`, `model`, `train`, `export` or `import`")
        return f"write {ways[0]}"
    elif "NAME" in kinds:
        ways.append("a name" if "TYPE" in kinds else "a name with a small first letter")
    elif "TYPE" in kinds:
        ways.append("a name with a capital first letter")
    if not value:
        ways.extend(word for kind, word in (("STRING", "a text in quotes"), ("NUMBER", "a number")) if kind in kinds)
        ways.extend(f"`{sign}`" for sign in _SIGNS if sign in kinds)
        ways.extend(["an operator"] if len(OPERATORS & kinds) > 1 else [])
    ways.extend(["the end of the line"] if NEWLINE in kinds else [])
    return f"what can stand here: {', '.join(ways)}" if ways else ""
