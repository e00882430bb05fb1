"""Findings that another finding brings with it are left out: a misspelt word is one mistake, not three.

What is left out is never alone: the finding that it follows from stays, and a spec with a mistake keeps at least one.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from .language import OPTION_SPELLINGS
from .misspelt_where_given import misspelt_where_given
from .nearest import nearest
from .report import UNKNOWN_NAMES

# A name and the item in which it is given: None for a constant of the file.
_Given: TypeAlias = tuple[int | None, str]
_MISSING = UNKNOWN_NAMES | {"missing-output"}
_WORD = re.compile(r"\w+")
_EQUALS = re.compile(r"[ \t]*=[^=]")
_KEYWORD = re.compile(r"\w+[ \t]*=[ \t]*$")
_LONGEST_OPTION = 80
_QUOTED = re.compile(r"`(\w+)`")
_DEFAULT = re.compile(r"\s*default\s+(\w+)")
# Layers whose options decide on shapes.
_ANY, _SIZED = re.compile(""), re.compile(r"Conv|\w*pool|upsample|patchify|RNN|LSTM|GRU")
# Options without a default that take a value.
_VALUES = frozenset({"memory", "keys", "values", "mean", "logvar"})
_TOLD = "` is told the "
_FLOWING = re.compile(r"`(\w+)` flows")


def without_follow_ups(
    found: Sequence[Diagnostic], spelling: Sequence[Diagnostic], file: tree.File
) -> list[Diagnostic]:
    """`found` less what follows from the rest of it; `spelling` are the parser's own findings among them."""
    findings = _Findings(found, spelling, file)
    return misspelt_where_given([d for d in found if not findings.follows(d)], file)


class _Findings:
    """What has been found in each item, so that every finding is held against those beside it at no cost."""

    def __init__(self, found: Sequence[Diagnostic], spelling: Sequence[Diagnostic], file: tree.File) -> None:
        self.spelling = set(spelling)
        self.spelled = sorted(spelling, key=lambda d: d.span.start)
        self.told = _Stretches(d.span for d in spelling if d.span.start < d.span.end)
        self.unread = _Stretches(file.unread)
        self.items = _Stretches(item.span for item in file.items)
        self.lost = self._lost_words(file)
        self.words: dict[tuple[int | None, str], set[str]] = {}
        self.words_of_items: dict[int, Counter[str]] = {}
        self.not_run: set[int | None] = set()
        self.given_again: set[int] = set()
        for d in found:
            item = self.items.around(d.span)
            self.words.setdefault((item, d.code), set()).add(_word(d))
            if d.code in ("unused-name", "repeated-name") and _names_a_flow(d):
                self.not_run.add(item)
                if d.code == "repeated-name":
                    self.given_again.add(d.span.start)
        self.misspelt_options = {
            option
            for d in found
            if d.code == "unknown-option" and _in_a_default(d.span) and (option := d.fixes[0].text if d.fixes else "")
        }
        self.unknown = {d.span.start for d in found if d.code in UNKNOWN_NAMES}
        # What may have been meant to join several values.
        self.joins = {
            d.span.start for d in found if d.code in UNKNOWN_NAMES and (not d.fixes or d.fixes[0].text == "concat")
        }
        # The first use of a flow in each repeat: moved into it, the flow is right for all of them.
        self.shared: dict[object, Diagnostic] = {}
        for d in found:
            if d.code == "shared-by-accident":
                self.shared.setdefault(_place_of_copies(d), d)
        self.not_given = self._options_of_wrong_defaults(found, file)
        self.wrong_default = any(_in_a_default(d.span, _SIZED) for d in found if d.severity == "error")
        self.wrong_default |= any(_SIZED.match(word) for word, *_ in self.not_given)
        self.no_option_ends = {d.span.end for d in found if d.code == "unknown-option"}
        # Inputs of which an output has the name.
        self.ports = {
            d.labels[0][0].start for d in found if d.code == "repeated-name" and d.message.startswith("an input")
        }
        self.other_case = {d.span.text: d.span for d in spelling if d.code == "wrong-case"}
        self.no_stage = {d.span.start for d in found if d.code in ("not-a-flow", "number-as-stage", "wrong-arguments")}
        # Constants of which something was said where they are given.
        self.faulty = {
            item.name.text
            for item in file.items
            if isinstance(item, tree.Constant)
            and any((self.items.around(item.span), code) in self.words for code in UNKNOWN_NAMES | {"no-value"})
        }
        # Constants of which nobody knows the number, and items of which nobody knows the shapes that they promise.
        self.no_numbers = {
            item.name.text
            for item in file.items
            if isinstance(item, tree.Constant) and any(_is_no_number(d) for d in self._spelled_in(item.span))
        }
        self.no_shapes = {
            self.items.around(item.span)
            for item in file.items
            if isinstance(item, tree.Block | tree.Model)
            and item.signature is not None
            and any(d.span.text == "..." for d in self._spelled_in(item.signature.span))
        }
        # Constants that have two values, so that what is computed with them may be right or wrong.
        constants = {item.name.text for item in file.items if isinstance(item, tree.Constant)}
        self.repeated = constants & {_word(d) for d in found if d.code == "repeated-name"}
        self.indexed = _Stretches(d.span for d in found if d.code == "foreign-index" and d not in self.spelling)
        self.blamed = self._first_of_names(found, file)
        self.no_function = {d.span.start for d in found if d.code == "unknown-function"}
        self.no_option = {d.span.start for d in found if d.code == "unknown-option"}
        # `T_max`, which is not only a matter of its capital letter.
        self.other_names = {
            d.span.start
            for d in found
            if d.code == "unknown-option" and d.span.text.lower() not in {fix.text for fix in d.fixes}
        }
        self.taken = {d.span.text for d in found if d.code == "taken-name"}
        # Calls in the order of another tool, where an option seems to be given twice.
        self.other_order = _Stretches(d.span for d in found if d.code == "wrong-value" and _TOLD in d.message)
        self.nothing = sorted(self.unknown | {d.span.start for d in found if d.code == "unknown-key"})
        # `imae` where `image` is meant: the name that is given, and the one that is used.
        self.misspelt_inputs = {(d.fixes[0].text, _word(d)) for d in found if d.code in UNKNOWN_NAMES and d.fixes}
        self.no_values = self._names_of_faulty_values(file)
        self.misspelt = self._meant_elsewhere(found)
        self.not_handed_over = self._items_with_missing_values(found)

    def follows(self, finding: Diagnostic) -> bool:
        if finding in self.spelling:
            if finding.code == "foreign-index":
                return self.indexed.around(finding.span) is not None
            if finding.code == "wrong-sign":
                return finding.span.start in self.no_option_ends  # `Linear(n: 8)`: no option, whatever its sign
            other_name = finding.span.start in self.other_names
            return finding.code == "wrong-case" and (other_name or self._of_no_call(finding))
        if self.unread.around(finding.span) is not None:
            return True
        if self.told.around(finding.span) is not None:
            return finding.span.start not in self.other_names
        item, word = self.items.around(finding.span), _word(finding)
        match finding.code:
            case "unused-name":
                of_item = finding.severity == "error" and (item, word) in self.misspelt
                of_item |= finding.severity == "error" and item in self.not_handed_over
                of_item |= (item, word) in self.no_values and self._stands_elsewhere(finding, item)
                return self._is_lost(word, item) or of_item or (item, "nothing-flows") in self.words
            case "shape-mismatch" if (self.repeated | self.no_numbers) & set(_WORD.findall(finding.message)):
                return True
            case "shape-mismatch" if item in self.no_shapes:
                return True
            case "shared-by-accident":
                return self.shared[_place_of_copies(finding)] != finding
            case "endless-block":
                return finding.span.text in self.taken  # the layer is meant inside
            case "head-width":
                return (item, "no-weights") in self.words
            case "shape-mismatch":
                return self.wrong_default or (item in self.not_run and "is promised as" in finding.message)
            case "empty-body":
                unread = any(finding.span.start <= span.start <= finding.span.end for span in self.unread.spans)
                return unread or any(finding.span.start <= start < finding.span.end for start in self.given_again)
            case "repeated-name":
                of_port = bool(finding.labels) and finding.labels[0][0].start in self.ports
                return of_port and not finding.message.startswith("an input")
            case "missing-option":
                misspelt = any(f"needs `{option}`" in finding.message for option in self.misspelt_options)
                told = tuple(_QUOTED.findall(finding.message))
                return misspelt or told[:1] in self.not_given or told in self.not_given
            case "missing-key":
                return self._meant_by_unknown(finding, item)
            case "wrong-value" | "bad-dim" if self.faulty & set(_WORD.findall(finding.span.text)):
                return True
            case "wrong-value" | "bad-dim" if (name := self._name_to_blame(finding)) is not None:
                return self.blamed[name] != finding
            case "wrong-value" | "bad-dim" if self._of_no_option(finding):
                return True
            case "repeated-option":
                return self.other_order.around(finding.span) is not None
            case "unknown-option" if finding.fixes and self.other_order.around(finding.span) is not None:
                # Its name is that of the other tool, and is told with the order.
                return finding.fixes[0].text == OPTION_SPELLINGS.get(finding.span.text)
            case "nothing-flows":
                return (item, word) in self.no_values
            case "unknown-name" if finding.span.start in self.no_function:
                return True
            case "not-a-value":
                missing = word in self.words.get((item, "missing-output"), ())
                return missing or finding.span.start in self.unknown or (item, word) in self.no_values
            case "unbound-input":
                return tuple(_QUOTED.findall(f"{finding.message} {finding.help}")) in self.misspelt_inputs
            case "lost-value":
                if finding.span.start in self.joins:
                    return True
                of_no_stage = finding.span.start in self.no_stage or self._behind_unread(finding.span)
                return of_no_stage or self._lost_with_another(finding, item)
        if finding.code in UNKNOWN_NAMES and self._of_other_case(finding):
            return True
        return finding.code in _MISSING and self._is_lost(word, item)

    def _stands_elsewhere(self, finding: Diagnostic, item: int | None) -> bool:
        """Whether the name that nothing uses stands in its item once more: in what could not be worked out either."""
        if item is None:
            return False
        if item not in self.words_of_items:
            self.words_of_items[item] = Counter(_WORD.findall(self.items.spans[item].text))
        return self.words_of_items[item][_word(finding)] > 1

    def _spelled_in(self, stretch: Span) -> Sequence[Diagnostic]:
        first, end = (bisect_left(self.spelled, at, key=lambda d: d.span.start) for at in (stretch.start, stretch.end))
        return self.spelled[first:end]

    def _behind_unread(self, place: Span) -> bool:
        """Whether the line above is one that could not be read, of which nobody knows whether a value flows on."""
        i = bisect_right(self.unread.starts, place.start) - 1
        if i < 0 or self.unread.spans[i].end > place.start:
            return False
        return place.source.position(self.unread.spans[i].end)[0] + 1 == place.line

    def _options_of_wrong_defaults(self, found: Sequence[Diagnostic], file: tree.File) -> set[tuple[str, ...]]:
        """Layers with the options that a `default` line would give them, had it their names: `default Cnv2d(kernel =
        3)` gives `Conv2d` a kernel, and `default Dropout(0.1)` all that a call of `Dropout` may lack."""
        wrong = {d.span.start: d for d in found if d.code in UNKNOWN_NAMES | {"default-by-position"}}
        given: set[tuple[str, ...]] = set()
        lines = [node for node in tree.walk(file) if isinstance(node, tree.Default)] if wrong else []
        for stage in (line.stage for line in lines):
            misspelt = wrong.get(stage.path.span.start)
            word = misspelt.fixes[0].text if misspelt is not None and misspelt.fixes else str(stage.path)
            for arg in stage.args or ():
                if isinstance(arg, tree.Keyword) and misspelt is not None:
                    given.add((word, arg.name.text))
                elif arg.span.start in wrong:
                    given.add((word,))
        return given

    def _of_other_case(self, finding: Diagnostic) -> bool:
        """The name is that of a block or model of which the case was told where it is given."""
        meant = finding.fixes[0].text if finding.fixes else ""
        return meant in self.other_case and self.other_case[meant].start != finding.span.start

    def _lost_words(self, file: tree.File) -> dict[int | None, set[str]]:
        """What stands on a line that could not be read may have been given or used there: in its item, or in the file
        (None) where the line is one of the file or the head of an item, whose name then is lost too."""
        lost: dict[int | None, set[str]] = {None: set()}
        for span in file.unread:
            item, words = self.items.around(span), _WORD.findall(span.text)
            lost.setdefault(item, set()).update(words)
            if item is not None and span.start == self.items.starts[item]:
                lost[None].update(words[:2])
        return lost

    def _is_lost(self, word: str, item: int | None) -> bool:
        return word in self.lost[None] or word in self.lost.get(item, ())

    def _meant_by_unknown(self, finding: Diagnostic, item: int | None) -> bool:
        """The keys that are missing are there, misspelt."""
        missing = set(_QUOTED.findall(finding.message.partition(" needs ")[2]))
        unknown = self.words.get((item, "unknown-key"), ())
        return bool(missing) and missing <= {nearest(word, missing) for word in unknown}

    def _first_of_names(self, found: Sequence[Diagnostic], file: tree.File) -> dict[_Given, Diagnostic]:
        """The first of the findings about each name that holds a wrong value: one mistake, wherever it is used."""
        self.constants = {
            item.name.text
            for item in file.items
            if isinstance(item, tree.Constant) and isinstance(item.value, tree.String | tree.Bool | tree.Nothing)
        }
        self.params = {
            self.items.around(item.span): {param.name.text for param in item.params or ()}
            for item in file.items
            if isinstance(item, tree.Block)
        }
        first: dict[_Given, Diagnostic] = {}
        for d in found:
            if d.code in ("wrong-value", "bad-dim") and (name := self._name_to_blame(d)) is not None:
                first.setdefault(name, d)
        return first

    def _name_to_blame(self, finding: Diagnostic) -> _Given | None:
        """The constant of no number, or the parameter, that stands where a finding is, if one does."""
        item, text = self.items.around(finding.span), finding.span.text
        if text in self.params.get(item, ()):
            return item, text
        words = _WORD.findall(text) if self.constants else ()
        return next(((None, word) for word in words if word in self.constants), None)

    def _lost_with_another(self, finding: Diagnostic, item: int | None) -> bool:
        """A value is lost since its name is, or since the outputs that it may be one of have none."""
        flowing = _FLOWING.match(finding.message)
        if flowing is None:
            no_outputs = (item, "missing-output") in self.words or (item, "repeated-name") in self.words
            return finding.message.startswith("the outputs") and no_outputs
        codes = ("unused-name", "repeated-name", "value-as-parameter")
        return any(flowing[1] in self.words.get((item, code), ()) for code in codes)

    def _names_of_faulty_values(self, file: tree.File) -> set[_Given]:
        """The names of values, with their items, that were to be worked out with a name that nothing has, or with
        another of them."""
        starts = sorted(self.unknown)
        faulty: set[_Given] = set()
        for item in file.items if starts else ():
            if not isinstance(item, tree.Block | tree.Model):
                continue
            place = self.items.around(item.span)
            for line in tree.walk(item):
                if isinstance(line, tree.Binding) and (
                    bisect_left(starts, line.span.start) < bisect_left(starts, line.span.end)
                    or (faulty and any((place, word) in faulty for word in _stages(line.value)))
                ):
                    faulty.add((place, line.name.text))
        return faulty

    def _of_no_call(self, finding: Diagnostic) -> bool:
        """The name of an option, behind the name of something that there is not: it has options of other names."""
        span = finding.span
        start = span.source.text.rfind("\n", 0, span.start) + 1
        is_option = _EQUALS.match(span.source.text, span.end) is not None
        return is_option and bisect_left(self.nothing, start) < bisect_left(self.nothing, span.start)

    def _of_no_option(self, finding: Diagnostic) -> bool:
        """The value stands behind the name of an option that there is not."""
        text, end = finding.span.source.text, finding.span.start
        start = max(0, end - _LONGEST_OPTION)
        before = _KEYWORD.search(text[start:end]) if self.no_option else None
        return before is not None and start + before.start() in self.no_option

    def _meant_elsewhere(self, found: Sequence[Diagnostic]) -> set[tuple[int | None, str]]:
        """Names that nothing uses, by their items, where a name that is missing there is near to theirs."""
        meant: set[tuple[int | None, str]] = set()
        for d in found:
            item = self.items.around(d.span)
            unused = self.words.get((item, "unused-name"))
            if d.code in _MISSING and unused and (name := nearest(_word(d), unused)) is not None:
                meant.add((item, name))
        return meant

    def _items_with_missing_values(self, found: Sequence[Diagnostic]) -> set[int | None]:
        """Items in which calls lack as many values as nothing uses: those are what is to be handed over."""
        missing, unused = Counter[int | None](), Counter[int | None]()
        for d in found:
            item = self.items.around(d.span)
            is_value = d.code == "missing-input" or not _VALUES.isdisjoint(_QUOTED.findall(d.message))
            missing[item] += d.code in ("missing-input", "missing-option") and is_value
            unused[item] += d.code == "unused-name" and d.severity == "error"
        return {item for item, count in missing.items() if 0 < unused[item] <= count}


def _stages(flow: tree.Flow) -> Iterator[str]:
    return (str(node.path) for node in tree.walk(flow) if isinstance(node, tree.Stage))


def _is_no_number(finding: Diagnostic) -> bool:
    """Whether a number stands there that cannot be held."""
    return finding.code == "wrong-number" and not finding.fixes


def _place_of_copies(finding: Diagnostic) -> tuple[object, int]:
    """Which flow is shared, and by the copies of which repeat, which is named where it begins on another line."""
    return finding.labels, finding.span.line if len(finding.labels) == 1 else 0


def _names_a_flow(finding: Diagnostic) -> bool:
    """Whether a finding is about the name of a line `name = flow`, which does not run then."""
    span = finding.span
    return finding.severity == "error" and _EQUALS.match(span.source.text, span.end) is not None


def _word(finding: Diagnostic) -> str:
    """The name that a finding is about stands where its span begins."""
    found = _WORD.match(finding.span.text)
    return found[0] if found else ""


def _in_a_default(span: Span, of: re.Pattern[str] = _ANY) -> bool:
    """Whether a place is on a `default` line, for a layer whose name matches."""
    found = _DEFAULT.match(span.source.line(span.line))
    return found is not None and of.match(found[1]) is not None


class _Stretches:
    """Stretches of text that do not overlap, or lie in each other, by their beginnings."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = sorted(spans, key=lambda span: (span.start, -span.end))
        self.starts = [span.start for span in self.spans]

    def around(self, place: Span) -> int | None:
        """The number of the stretch in which a place begins."""
        i = bisect_right(self.starts, place.start) - 1
        return i if i >= 0 and place.start < self.spans[i].end else None
