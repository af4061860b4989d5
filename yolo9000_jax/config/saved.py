"""A config as the file config.json of a workdir, and how two of them differ."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from yolo9000_jax import text
from yolo9000_jax.config.checks import UNUSED
from yolo9000_jax.config.keys import flat, stages, without_stage
from yolo9000_jax.config.merging import complete, one_line
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import write_whole

# The files of version 0.1 have no "format"; a key of theirs that is gone is left out when they are read. From format 2
# on a key that does not exist is a mistake.
FORMAT = 2
RETIRED = {"model.classes"}
# What a file that lacks these keys, which came later, means by it.
LATER = {"model.head_init": "calm", "augment.crop": "darknet"}
# Values that have other names today.
RENAMED = {"model.passthrough": {True: "darknet", False: "none"}}
# Keys that may change between a run and its continuation: they do not alter what is learnt at a given step.
FREE_ON_RESUME = (
    *("log_every", "evaluate_every", "checkpoint_every", "profile_steps"),
    *("evaluation.batch_size", "evaluation.may_share_pictures"),
)
# Where data lie: these may change as well where the data themselves have not (see `difference`).
SOURCES = ("data.source", "classification.source", "evaluation.source")


def as_saved(config: ConfigDict) -> dict[str, Any]:
    """The config as plain values, with the format that they are in."""
    return {"format": FORMAT, **config.to_dict()}


def from_saved(values: dict[str, Any], where: str) -> ConfigDict:
    """The config of what `as_saved` gave, here or in an earlier version.

    Types are checked; choices and ranges, which may have been others when it ran, are not.

    Raises:
        UserError: these are not the values of a config, or those of a later version.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: not a config that training wrote, but {one_line(repr(values))[:80]}")
    values = dict(values)
    version = values.pop("format", 1)
    if version not in range(1, FORMAT + 1):
        raise UserError(f"{where}: written in format {version!r}, which needs a later version: install one")
    if version == 1:
        values = _without_retired(values)
    return complete(_in_words_of_today(values), where, check=lambda *_: None)


def save(config: ConfigDict, path: Path) -> None:
    """Writes the config as JSON."""
    write_whole(path, json.dumps(as_saved(config), indent=2) + "\n")


def read(path: Path) -> ConfigDict:
    """The config of a workdir, as `save` wrote it, here or in an earlier version."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a config that training wrote ({one_line(error)}); restore it") from error
    return from_saved(values, str(path))


def _without_retired(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The nested values without the keys that are gone."""
    kept = {}
    for key, value in values.items():
        if without_stage(prefix + key) not in RETIRED:
            kept[key] = _without_retired(value, f"{prefix}{key}.") if isinstance(value, dict) else value
    return kept


def _in_words_of_today(values: dict[str, Any]) -> dict[str, Any]:
    """The nested values with those of LATER where they lack them, and those of RENAMED under their new names."""
    values = dict(values)
    for key in {**LATER, **RENAMED}:
        group, _, name = key.partition(".")
        if not isinstance(inner := values.get(group), dict):
            continue
        value = inner.get(name, LATER.get(key))
        if value is not None:
            renamed = RENAMED.get(key, {}).get(value, value) if isinstance(value, bool) else value
            values[group] = inner | {name: renamed}
    if isinstance(first := values.get("pretraining"), dict) and first:
        values["pretraining"] = _in_words_of_today(first)
    return values


def difference(old: ConfigDict, new: ConfigDict, leave_out: Sequence[str] = ()) -> list[str]:
    """Keys, as 'a.b: old -> new', in which a continuation's config differs from the run's where it must not.

    Args:
        old, new: complete configs.
        leave_out: keys or groups of keys, of every stage, that may differ besides FREE_ON_RESUME, such as SOURCES for
            data that were moved and are still the same.
    """
    changed, before, after = [], dict(stages(old)), dict(stages(new))
    for prefix, stage in after.items():
        if prefix in before:
            changed += _changed_keys(before[prefix], stage, prefix, (*FREE_ON_RESUME, *leave_out))
    if len(before) != len(after):
        names = (" after ".join(config.name for config in list(chain.values())[1:]) for chain in (before, after))
        changed.append("pretraining: " + " -> ".join(name or "none" for name in names))
    return changed


def _changed_keys(old: ConfigDict, new: ConfigDict, prefix: str, free: Sequence[str]) -> list[str]:
    """`difference` of one stage, without its pre-training."""
    if old.optimizer.learning_rate_scaling == new.optimizer.learning_rate_scaling == "none":
        free = (*free, "optimizer.reference_batch_size")  # which then has no effect
    free = (*free, *(key for rule in UNUSED if rule.here(old) and rule.here(new) for key in rule.keys))
    before, after = flat(old), flat(new)
    return [
        f"{prefix}{key}: {text.changed(before[key], after[key])}"
        for key in after
        if not _is_one_of(key, (*free, "pretraining")) and before[key] != after[key]
    ]


def _is_one_of(key: str, names: Sequence[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in names)
