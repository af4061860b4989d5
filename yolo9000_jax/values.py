"""Dataclasses out of the values of a JSON file that people may have edited."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from yolo9000_jax.errors import UserError

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}

Made = TypeVar("Made")


def from_values(kind: type[Made], values: Any, where: str, name: str = "", **given: Any) -> Made:
    """The dataclass `kind` of a JSON object's values, each of which must be of its field's type.

    Args:
        kind: its fields may be numbers, texts, tuples, mappings and dataclasses, or None besides.
        values: of the JSON object.
        where: the file, for messages.
        name: what the file calls the object; "": it is the whole.
        given: fields that are not in the file.

    Raises:
        UserError: names a key that is unknown, missing, or has a value of another type.
    """
    if not isinstance(values, Mapping):
        raise _wrong(where, name, values, "a group of keys")
    inside = f" in {name!r}" if name else ""
    known = {field.name: field for field in fields(kind) if field.name not in given}  # type: ignore[arg-type]
    if unknown := [key for key in values if key not in known]:
        raise UserError(
            f"{where}: there is no key {unknown[0]!r}{inside}; the keys are {', '.join(known)}: take it out, or, where "
            "a newer version wrote it, install that"
        )
    required = [key for key, field in known.items() if field.default is field.default_factory is MISSING]
    if missing := [key for key in required if key not in values]:
        raise UserError(f"{where}: the key {missing[0]!r} is missing{inside}; restore the file from a copy")
    types = get_type_hints(kind)
    prefix = f"{name}." if name else ""
    found = {key: _as(types[key], value, where, prefix + key) for key, value in values.items()}
    return kind(**found, **given)


def _as(kind: Any, value: Any, where: str, name: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if NoneType in inner:
        (kind,) = (each for each in inner if each is not NoneType)
        return None if value is None else _as(kind, value, where, name)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(where, name, value, "a list")
        if inner[-1] is not Ellipsis and len(value) != len(inner):
            raise _wrong(where, name, value, f"a list of {len(inner)}")
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        items = enumerate(zip(kinds, value, strict=True))
        return tuple(_as(each, item, where, f"{name}[{place}]") for place, (each, item) in items)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(where, name, value, "a group of keys")
        return {key: _as(inner[1], item, where, f"{name}.{key}") for key, item in value.items()}
    if is_dataclass(kind):
        return from_values(kind, value, where, name)  # type: ignore[arg-type]
    if kind is Any:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise _wrong(where, name, value, KINDS[kind])
    return value


def _wrong(where: str, name: str, value: Any, kind: str) -> UserError:
    return UserError(f"{where}: {name or 'the whole'} is {repr(value)[:80]}; it must be {kind}: restore it from a copy")
