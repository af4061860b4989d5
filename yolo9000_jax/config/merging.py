"""Filling a config in: keys that are given over the defaults, each of the type that its key has."""

import difflib
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from yolo9000_jax.config import ranges
from yolo9000_jax.config.keys import detection, without_stage
from yolo9000_jax.errors import UserError

# What belongs into the tuples that are empty by default.
EXAMPLES: dict[str, tuple] = {
    "multi_scale": (320, 352),
    "model.anchors_cells": ((1.5, 2.0),),
    "data.classes": ("cat", "dog"),
    "classification.classes": ("cat", "dog"),
    "evaluation.classes": ("cat", "dog"),
}
KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text", tuple: "a list"}
Check = Callable[[Any, str, str], None]  # (value, name of the key, where) -> raises UserError


def complete(config: ConfigDict | dict, where: str = "config", check: Check = ranges.check_value) -> ConfigDict:
    """`config` with every key it leaves out at its default, in its pre-training too; each value is checked by itself.

    Args:
        config: some of the keys.
        where: what messages call it.
        check: what a value must pass besides having its key's type.

    Raises:
        UserError: names a key that does not exist, or a value that it cannot have.
    """
    given = config.to_dict() if isinstance(config, ConfigDict) else config
    if not isinstance(given, dict):
        raise UserError(f"{where}: a config is a ConfigDict of keys, not {one_line(repr(given))}")
    full = detection()
    merge(full, given, where, check=check)
    return full


def merge(full: ConfigDict, given: dict, where: str, prefix: str = "", check: Check = ranges.check_value) -> None:
    """Sets the keys of the nested dict `given` in the complete config `full`; for the rest see `complete`."""
    for key, value in given.items():
        if key not in full:
            near = difflib.get_close_matches(str(key), list(full), 1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; the keys are {', '.join(full)}"
            raise UserError(f"{where}: there is no config key {prefix}{key}{hint}")
        default, name = full[key], prefix + key
        if isinstance(default, ConfigDict):
            if key == "pretraining" and isinstance(value, dict) and value and not default:
                with full.unlocked():
                    full[key] = default = detection()
            if not isinstance(value, dict):
                holds = "an experiment" if key == "pretraining" else f"a group of keys ({', '.join(default)})"
                raise UserError(f"{where}: {name} is {holds}, not {value!r}")
            merge(default, value, where, f"{name}.", check)
        else:
            full[key] = convert(value, EXAMPLES.get(without_stage(name), default), f"{where}: {name}")
            check(full[key], name, where)


def convert(value: Any, default: Any, where: str) -> Any:
    """The value as the type of `default`, of a tuple also its items. Raises UserError where it is of another kind."""
    if isinstance(default, tuple):
        if isinstance(value, (list, tuple)):
            return tuple(convert(item, default[0], f"{where}[{place}]") for place, item in enumerate(value))
    elif isinstance(default, bool):
        if isinstance(value, bool):
            return value
    elif isinstance(default, float):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    elif isinstance(default, int):
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif isinstance(default, str):
        return str(value)
    raise UserError(f"{where} is {value!r}; it must be {KINDS[type(default)]}, such as {default!r}")


def one_line(error: Exception | str) -> str:
    """The text of an error without its line breaks."""
    return " ".join(str(error).split())
