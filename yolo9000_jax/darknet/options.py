"""The text of a Darknet .cfg file: its sections, and options read into typed dataclass fields (darknet.md 3)."""

import re
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn, get_args

from yolo9000_jax.errors import UserError

MAX_SIDE = 1 << 16  # of any width, height, number of filters, ...
MAX_BATCHES = 1 << 31

SHORT_NAMES = {
    "network": "net",
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "soft": "softmax",
}

_RANGES = {bool: (-MAX_BATCHES, MAX_BATCHES), int: (0, MAX_SIDE), float: (-1e9, 1e9)}
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_FLOAT = re.compile(r"[+-]?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True)
class Section:
    """One section as written: long name of its type, options as text, and the line numbers of both."""

    file: str
    type: str
    line: int
    options: dict[str, str]
    option_lines: dict[str, int]

    def fail(self, problem: str, key: str | None = None) -> NoReturn:
        """Raise the UserError for `problem`, at the line of option `key` or of the section."""
        raise UserError(
            f"{self.file}, line {self.option_lines.get(key or '', self.line)}: [{self.type[:40]}] {problem}"
        )


def option(default: Any, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field that is read from a cfg option.

    Args:
        default: the value without the option, or a function of the values read so far.
        low, high: allowed range; without them 0 to MAX_SIDE for a whole number, any sane one for a float.
        choices: the allowed words of a text option; empty for any.
    """
    return field(metadata={"default": default, "low": low, "high": high, "choices": choices})


def read_sections(name: str, text: str, warnings: list[str]) -> list[Section]:
    """Split a cfg's text into sections; blanks count for nothing, and of a repeated option the first counts.

    Args:
        name: what messages call the text.
        warnings: repetitions that say something else are appended to it.
    """
    sections: list[Section] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = "".join(line.split())
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            if line[-1] != "]":
                raise UserError(f"{name}, line {number}: {line[:40]!r} lacks its closing bracket")
            word = line[1:-1]
            sections.append(Section(name, SHORT_NAMES.get(word, word), number, {}, {}))
            continue
        key, equals, value = line.partition("=")
        if not equals or not key:
            raise UserError(f"{name}, line {number}: {line[:40]!r} is neither [section] nor key=value")
        if not sections:
            raise UserError(f"{name}, line {number}: {key[:40]!r} stands before any section: start with [net]")
        section = sections[-1]
        if key in section.options:
            if section.options[key] != value:
                warnings.append(f"{name}, line {number}: `{key[:40]}` is given twice in one section; the first counts")
            continue
        section.options[key] = value
        section.option_lines[key] = number
    return sections


def _number(text: str, kind: type) -> float | int | None:
    """The number a text stands for, None if it stands for none. Stricter than Darknet, which takes '3x' for 3."""
    if not (_FLOAT if kind is float else _INTEGER).fullmatch(text):
        return None
    return kind(text)


def _read_option(section: Section, name: str, kind: Any, meta: Any) -> Any:
    """Value of the option `name` as its field's type `kind` says; checks the range."""
    text = section.options[name]
    if kind is str:
        if meta["choices"] and text not in meta["choices"]:
            section.fail(f"{name}={text[:40]!r} is not known here: use one of {', '.join(meta['choices'])}", name)
        return text
    item = get_args(kind)[0] if get_args(kind) else kind
    words = text.split(",") if get_args(kind) else [text]
    values = [_number(word, float if item is float else int) for word in words]
    low, high = (_RANGES[item][i] if meta[side] is None else meta[side] for i, side in enumerate(("low", "high")))
    for word, value in zip(words, values, strict=True):
        if value is None:
            section.fail(f"{name}: {word[:40]!r} is not a {'number' if item is float else 'whole number'}", name)
        if not low <= value <= high:
            section.fail(f"{name}={value} is out of range: {low} to {high}", name)
    return tuple(values) if get_args(kind) else item(values[0])


def read_options(section: Section, target: Any, warnings: list[str]) -> dict[str, Any]:
    """All options of a section as the fields of `target`; what is not known goes to `warnings`."""
    values: dict[str, Any] = {}
    for known in fields(target):
        meta = known.metadata
        if known.name in section.options and meta:
            values[known.name] = _read_option(section, known.name, known.type, meta)
        elif meta:
            default = meta["default"]
            values[known.name] = default(values) if callable(default) else default
    for key, text in section.options.items():
        if key in target.refused and text != "0":
            section.fail(f"{key}={text[:40]} is not supported: remove it if the network does not depend on it", key)
        if key not in values and key not in target.unused + target.refused:
            line = section.option_lines[key]
            warnings.append(f"{section.file}, line {line}: [{section.type[:40]}] option `{key[:40]}` is not used here")
    return values
