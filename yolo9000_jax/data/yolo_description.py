"""What describes a YOLO data set: a data.yaml, or Darknet's .data file of `key = value` lines.

    data.yaml   names: a list, numbers and names, or a file; train, val, test: a folder or list, or several; path; nc
    .data       names = a file; train, valid, test = a list each; classes

`val` may be called valid or validation. Keys with another meaning are not looked at.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from yolo9000_jax.data.annotations import Notes
from yolo9000_jax.data.messages import quote
from yolo9000_jax.data.splits import VALIDATION
from yolo9000_jax.data.yolo_places import Places
from yolo9000_jax.data.yolo_yaml import Value, parse_yaml
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import read_text, shown
from yolo9000_jax.labels import synsets_of, told_apart
from yolo9000_jax.text import is_printable

SPLITS = ("train", "val", "test")
ENDINGS = (".yaml", ".yml", ".data")
MOST_BYTES = 1 << 24  # of a description or a label file: what is larger is none
MOST_LIST_BYTES = 1 << 30  # of a list of pictures or names
NO_PATH = ("path is not there: the folder of the file that names it is taken", "paths are not there")
_EQUALS = re.compile(r"\s*[\w-]+\s*=")


@dataclass(frozen=True)
class Description:
    """A data set as its file describes it; what the splits name is not looked at yet."""

    file: Path
    names: tuple[str, ...]
    synsets: tuple[str | None, ...]  # of the classes, where a file of labels beside that of the names says them
    splits: dict[str, list[str]]  # of train, val and test those that there are: folders and lists as written
    places: Places  # where what is written is looked for
    keypoints: int  # columns of a label row after its box

    @property
    def name(self) -> str:
        """What messages call it."""
        return shown(self.file)


def read_description(location: str, notes: Notes) -> Description:
    """Reads a data.yaml or .data file, or the one that a folder holds.

    Raises:
        UserError: there is no such file, it is not readable, or names no classes.
    """
    file = _file(location)
    return describe(read_limited(file), file, notes)


def describe(text: str, file: Path, notes: Notes) -> Description:
    """The same of the text of a description that lies, or could lie, in `file`."""
    name = shown(file)
    first = next((line for line in text.split("\n") if line.strip() and line.strip()[0] not in "#;"), "")
    is_darknet = file.suffix.lower() == ".data" or _EQUALS.match(first) is not None
    entries = parse_data(text, name) if is_darknet else parse_description_yaml(text, name)
    around = [file.parent, file.parent / "..", Path()] if is_darknet else [file.parent]
    places = Places([*_stated_root(name, entries.get("path"), around, notes), *around], notes)
    names, synsets = _names(name, entries.get("names"), places, entries.get("labels"))
    _check_count(name, "classes" if is_darknet else "nc", entries.get("nc"), len(names))
    splits = {split: _paths(name, split, entries.get(split)) for split in SPLITS}
    there = {split: paths for split, paths in splits.items() if paths}
    if not there:
        raise UserError(f"{name}: none of the keys {', '.join(SPLITS)} names pictures: give a folder or list for one")
    return Description(file, names, synsets, there, places, _keypoints(entries.get("kpt_shape")))


def read_limited(file: Path, most_bytes: int = MOST_BYTES) -> str:
    """As `files.read_text`, of a file that is not longer than one of its kind can be."""
    if os.path.isfile(file) and os.path.getsize(file) > most_bytes:
        raise UserError(f"{shown(file)}: larger than {most_bytes >> 20} MiB: this is no text of labels or paths")
    return read_text(file)


def parse_description_yaml(text: str, name: str) -> dict[str, Value]:
    """The keys of a data.yaml, in lower case, and their values.

    Raises:
        UserError: it is no YAML, or no mapping.
    """
    content = parse_yaml(text, name)
    if not isinstance(content, dict):
        raise UserError(f"{name}: give the keys names and {', '.join(SPLITS)}, as in a data.yaml")
    entries: dict[str, Value] = {}
    for key, value in content.items():
        _enter(entries, key, value, name)
    return entries


def parse_data(text: str, name: str) -> dict[str, Value]:
    """The same of a .data file: lines `key = value`; lines that begin with # or ; are comments.

    Raises:
        UserError: a line is neither.
    """
    entries: dict[str, Value] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = re.split(r"(?:^|\s)[#;]", line, maxsplit=1)[0].strip()
        if line:
            key, equals, value = line.partition("=")
            if not equals or not key.strip():
                raise UserError(f"{name}:{number}: {quote(line[:61])} is not 'key = value': correct it")
            _enter(entries, {"classes": "nc"}.get(key.strip(), key), value.strip() or None, f"{name}:{number}")
    if entries.get("names") is None and entries.get("labels") is not None:
        entries["names"] = entries["labels"]  # as the .data files of classifiers call them
    return entries


def _enter(entries: dict[str, Value], key: str, value: Value, place: str) -> None:
    key = key.strip().lower()
    key = "val" if key in VALIDATION else key
    if value in (None, "") or key not in ("names", "labels", "nc", "path", "kpt_shape", *SPLITS):
        return
    if key in entries and entries[key] is not value and not (isinstance(value, str) and entries[key] == value):
        raise UserError(f"{place}: {key} stands there twice with different values: keep one")
    entries[key] = value


def _file(location: str) -> Path:
    file = Path(os.path.expanduser(location))
    if os.path.isdir(file):
        found = [file / "data.yaml"] if (file / "data.yaml").is_file() else []
        found = found or sorted(each for each in file.iterdir() if each.suffix.lower() in ENDINGS and each.is_file())
        if len(found) != 1:
            there = ", ".join(shown(each.name) for each in found) or "none"
            raise UserError(f"yolo:{shown(location)}: a folder; name its data.yaml or .data file (there: {there})")
        return found[0]
    if not os.path.isfile(file):
        raise UserError(f"yolo:{shown(location)}: there is no such file; give the path of a data.yaml or .data file")
    return file


def _stated_root(file: str, stated: Value, around: list[Path], notes: Notes) -> list[Path]:
    """The folder that the key `path` names, if it does and the folder is there."""
    if stated is None:
        return []
    path = _text(file, "path", stated)
    there = Places(around, notes).find(path, Path.is_dir)
    if there is None:
        notes.add(NO_PATH, quote(path, 200))
        return []
    return [there]


def _names(
    file: str, names: Value, places: Places, labels: Value = None
) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """The names of the classes, and their synsets; with `labels` several classes may have one name."""
    if isinstance(names, str) and isinstance(labels, str) and labels != names:
        ids = _names_in_file(file, labels, places)
        found = told_apart(_lines_in_file(file, names, places)[1][: len(ids)], ids)
        return found, synsets_of(ids[: len(found)])
    found = _own_names(file, names, places)
    return found, (None,) * len(found)


def _own_names(file: str, names: Value, places: Places) -> tuple[str, ...]:
    if isinstance(names, str):
        return _names_in_file(file, names, places)
    if isinstance(names, dict):
        numbers = {int(key): name for key, name in names.items() if re.fullmatch(r"\s*[0-9]{1,9}\s*", key)}
        if not numbers and all(isinstance(value, str) and value.strip().isdecimal() for value in names.values()):
            name, number = next(iter(names.items()))
            raise UserError(
                f"{file}: names: {quote(name)} stands before its number: write 'number: name', {number}: {name}"
            )
        if len(numbers) < len(names) or set(numbers) != set(range(len(numbers))):
            last = len(names) - 1
            raise UserError(f"{file}: names: the keys are not 0 to {last}: write 'number: name', without gaps")
        names = [numbers[index] for index in range(len(numbers))]
    if not isinstance(names, list) or not names:
        raise UserError(f"{file}: names is missing or empty: list the class names, or name the file that does")
    return _checked_names(names, lambda index: f"{file}: names: class {index}")


def _names_in_file(file: str, text: str, places: Places) -> tuple[str, ...]:
    found, lines = _lines_in_file(file, text, places)
    return _checked_names(lines, lambda index: f"{shown(found)}:{index + 1}")


def _lines_in_file(file: str, text: str, places: Places) -> tuple[Path, list[str]]:
    """The file that `text` names, and its lines."""
    found = places.find(_text(file, "names", text), Path.is_file)
    if found is None:
        words = text.replace(",", " ").split()
        if len(words) > 1:
            some = ", ".join(words[:3]) + (", …" if len(words) > 3 else "")
            raise UserError(f"{file}: names is one text, {quote(text)}: write a list, names: [{some}]")
        raise UserError(f"{file}: names: there is no file {quote(text, 200)}: correct it, or list the names: [a, b]")
    return found, [line.strip() for line in read_limited(found, MOST_LIST_BYTES).rstrip().split("\n")]


def _checked_names(names: Sequence[Value], place: Callable[[int], str]) -> tuple[str, ...]:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"{place(index)} is {quote(name)}, no name: write one")
        if not is_printable(name):
            raise UserError(f"{place(index)} is {quote(name)}, which cannot be printed: write a name of letters")
        if name in first:
            where = f"classes {first[name]} and {index}"
            raise UserError(f"{place(index)}: {quote(name)} stands there twice ({where}): give each name once")
        first[name] = index
    return tuple(first)


def _check_count(file: str, key: str, count: Value, names: int) -> None:
    try:
        fits = count is None or (isinstance(count, str) and float(count) == names)
    except ValueError:
        fits = False
    if not fits:
        stated = count[:60] if isinstance(count, str) else quote(count)
        raise UserError(f"{file}: {key} is {stated}, but names has {names} names: correct one of them")


def _paths(file: str, key: str, value: Value) -> list[str]:
    """The folders or lists of a split."""
    entries = value if isinstance(value, list) else [value]
    return [_text(file, key, entry) for entry in entries if entry is not None]


def _text(file: str, key: str, value: Value) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{file}: {key}: {quote(value)} is not a path")
    if any(character < " " for character in value):
        raise UserError(f"{file}: {key}: {quote(value)} is not a path: in double quotes write / for \\")
    return value.strip()


def _keypoints(shape: Value) -> int:
    """Columns that follow the box in a label row: the product of kpt_shape, which sets for poses have."""
    if isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, str) and n.isdecimal() for n in shape):
        return min(int(str(shape[0])[:6]) * int(str(shape[1])[:6]), MOST_BYTES)
    return 0
