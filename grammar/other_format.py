"""Files of another format, such as a configuration in YAML: one finding in place of one for each of their lines."""

from __future__ import annotations

import re
from itertools import islice

from .diagnostics import Diagnostic
from .source import Source

# Enough to know a format by.
_LOOKED_AT = 40
_LINE = re.compile(r"^[ \t]*(?![#\s]|---)[^\n]*$", re.MULTILINE)
_JSON = re.compile(r'\{\s*(?:"[^"\n]*"\s*:|\})|\[\s*[{"]')
_PYTHON = re.compile(r"(?:from [\w.]+ import |class \w+(?:\(.*\))?:|def \w+\(.*:$)")
_SECTION = re.compile(r"\[{1,2}[\w.\"-]+\]{1,2}\s*(?:#.*)?$")
_SETTING = re.compile(r"[\w.\"-]+\s*=")
# What stands behind a label of a spec is a layer: `fc: Linear(4)` is no key of YAML.
_KEY = re.compile(r"\s*(?:-(?:\s.*)?|(?:- )?[\"']?[A-Za-z][\w./-]*[\"']?:(?:\s+(?![A-Z]\w*\().*)?)$")
_MARKUP = re.compile(r"<(?:[?!]|[A-Za-z][\w.:-]*(?:[\s/>]|$))")
_GROUP = re.compile(r"\s*[a-z]\w*\s*:?\s*\{")
_FIELD = re.compile(r"\b[a-z]\w*:\s*(?:\"[^\"\n]*\"|-?\d[\w.+-]*|true\b|false\b|[A-Z][A-Z_]+\b(?!\())")
# What a spec has and the text form of protocol buffers has not.
_OURS = re.compile(r"->|=|\w\(|:\s*[A-Z]\w*[a-z]|^\s*(?:default|import|block|model|train|export)\b")
_EXAMPLE = """\
`dlspec new NAME` writes a spec to start from; in short, one is
dlspec 1
model Net: (x: [B, 784]) -> (logits: [B, 10]) {
  Linear(256) -> relu
  Linear(10)
}"""


def other_format(source: Source) -> Diagnostic | None:
    """What is said of a text that is no spec at all; None of one that may be meant as one."""
    found = list(islice(_LINE.finditer(source.text), _LOOKED_AT))
    lines = [match[0].rstrip() for match in found]
    if not lines or lines[0].startswith("dlspec"):
        return None
    kind = _format(source.text[found[0].start() :], lines)
    if kind is None:
        return None
    place = source.span(found[0].start(), found[0].start() + len(lines[0]))
    return Diagnostic("other-format", f"this file is {kind}, not a spec", place, "it begins here", help=_EXAMPLE)


def _format(text: str, lines: list[str]) -> str | None:
    if _JSON.match(text.lstrip()):
        return "JSON"
    if _MARKUP.match(lines[0]):
        return "HTML" if re.match("<(?:!doctype )?html", lines[0], re.IGNORECASE) else "XML"
    if _is_text_of_protobuf(lines):
        return "protobuf text (such as a `.prototxt` of Caffe)"
    if any(map(_PYTHON.match, lines)):
        return "Python"
    if _SECTION.match(lines[0]) or (_SETTING.match(lines[0]) and any(map(_SECTION.match, lines))):
        return "TOML"
    if _KEY.match(lines[0]) and 4 * sum(map(bool, map(_KEY.match, lines))) >= 3 * len(lines):
        return "YAML"
    return None


def _is_text_of_protobuf(lines: list[str]) -> bool:
    """`layer { name: "conv1" type: "Convolution" }`, on one line or several."""
    if not (_GROUP.match(lines[0]) or _FIELD.match(lines[0])) or not any(map(_GROUP.match, lines)):
        return False
    return any(map(_FIELD.search, lines)) and not any(map(_OURS.search, (line.partition("#")[0] for line in lines)))
