"""A config with changes from the command line: what they reach besides the key that they name."""

from functools import reduce
from os import PathLike
from typing import Any

from ml_collections import ConfigDict

from yolo9000_jax.config import experiments
from yolo9000_jax.config.checks import LENGTHS, check
from yolo9000_jax.config.keys import Config, stages
from yolo9000_jax.config.merging import merge
from yolo9000_jax.errors import UserError

PRETRAINING = "pretraining"
_SETS = ("data.source", "classification.source", "evaluation.source")
_CLASSES = ("data.classes", "classification.classes", "evaluation.classes")
# Where the value of a key stands several times, a change of it reaches them all: of the key itself those of the
# pre-training, of these keys also the others that are named with it. (An empty value stands for no other.)
FOLLOWERS = {
    "model.width": (),
    "model.tree": (),
    "model.compute_dtype": (),
    "data.source": _SETS,
    "classification.source": _SETS,
    "data.classes": _CLASSES,
}


def load(experiment: str | PathLike, overrides: dict[str, str] | None = None) -> ConfigDict:
    """The config of an experiment, with changes, complete and checked.

    Args:
        experiment: `FILE.py[:ROW]`, or `NAME[:ROW]` of one that comes with the package. The file holds
            `get_config(row=…)`; where that has further arguments, overrides of their names are theirs.
        overrides: as for `override`.

    Raises:
        UserError: there is no such file, row or key, or a value is wrong or does not go with the others.
    """
    rest = dict(overrides or {})
    config = override(experiments.run(experiment, rest), rest)
    check(config, "--config" if overrides else str(experiment))
    return config


def override(config: ConfigDict, overrides: dict[str, str], where: str = "--config") -> ConfigDict:
    """A copy of a complete config with `{"a.b": "text"}` applied, each text read as the type that the key has.

    What belongs together changes together, unless it is overridden itself:

    - A length (steps, epochs or minutes) sets the other two to 0.
    - `pretraining` is "none", or an experiment as for `load`; keys of it apply to the new one.
    - Width, number format and tree reach the pre-training, where it had the same.
    - A data set's source reaches the other places, of the experiment and its pre-training, that named the same; so do
      its classes.

    Raises:
        UserError: a key or a value is wrong, or the data change and the evaluation would stay with those of before.
    """
    config = config.copy_and_resolve_references()
    values = dict(overrides)
    for key in sorted(values, key=len):
        if set(key.split(".")) == {PRETRAINING}:
            _replace_pretraining(config, key, values.pop(key), where)
    given = {key: experiments.parse(text) if isinstance(text, str) else text for key, text in values.items()}
    prefixes = [prefix for prefix, _ in stages(config)]
    for key in given:
        _check_stage(key, prefixes, where)
    before = config.copy_and_resolve_references()
    for key, value in (_other_lengths(given, where) | _followers(before, given) | given).items():
        nested = value
        for name in reversed(key.split(".")):
            nested = {name: nested}
        merge(config, nested, where)
    _check_evaluation(before, config, given, where)
    return config


def _get(config: ConfigDict, key: str) -> Any:
    return reduce(lambda group, name: group[name], key.split("."), config)


def _replace_pretraining(config: ConfigDict, key: str, text: str, where: str) -> None:
    """Sets the pre-training of the experiment, or of a stage of it, to that of the name `text`."""
    _check_stage(key, [prefix for prefix, _ in stages(config)], where)
    new = Config()
    if text.lower() not in ("", "none"):
        try:
            new = experiments.run(text, {})
        except UserError as error:
            raise UserError(f"{where}: {key}: {error}; none trains nothing first") from error
    parent = _get(config, key.removesuffix(PRETRAINING)[:-1]) if "." in key else config
    with parent.unlocked():
        parent[PRETRAINING] = new


def _check_stage(key: str, prefixes: list[str], where: str) -> None:
    """Raises UserError for a key of pre-training that the experiment does not have."""
    *stage, _ = key.split(".")
    depth = next((place for place, name in enumerate(stage) if name != PRETRAINING), len(stage))
    prefix = f"{PRETRAINING}." * depth
    if prefix not in prefixes:
        empty = prefix[:-1]
        raise UserError(f"{where}: {key}: there is no {empty}: give one with --config.{empty}=NAME, or leave this out")


def _other_lengths(given: dict[str, Any], where: str) -> dict[str, Any]:
    """The lengths that are no longer meant, as 0."""
    zeros: dict[str, Any] = {}
    for key in given:
        prefix, _, name = key.rpartition(".")
        if name in LENGTHS and all(part == PRETRAINING for part in prefix.split(".") if part):
            others = [f"{prefix}.{other}" if prefix else other for other in LENGTHS if other != name]
            zeros |= dict.fromkeys(others, 0)
    return zeros


def _followers(config: ConfigDict, given: dict[str, Any]) -> dict[str, Any]:
    """The values that a change reaches besides its own key, see FOLLOWERS."""
    found: dict[str, Any] = {}
    chain = stages(config)
    for key, value in given.items():
        name = key.rpartition(f"{PRETRAINING}.")[2]
        prefix = key.removesuffix(name)
        if name not in FOLLOWERS or not (old := _get(config, key)):
            continue
        for other, stage in chain:
            if not other.startswith(prefix):
                continue  # a stage's change does not reach what is trained after it
            for follower in FOLLOWERS[name] or (name,):
                if _get(stage, follower) == old:
                    found.setdefault(other + follower, value)
    return found


def _check_evaluation(before: ConfigDict, after: ConfigDict, given: dict[str, Any], where: str) -> None:
    """Raises UserError where the training data are others, and the evaluation has a set of its own, left as it was."""
    old = dict(stages(before))
    for prefix, stage in stages(after):
        source, judged = stage.data.source, stage.evaluation.source
        key = f"{prefix}evaluation.source"
        if source == old[prefix].data.source or not judged or judged == source or key in given:
            continue
        rest = [f"{prefix}{name}" for name in ("data.split", "evaluation.split", "data.classes", "evaluation.classes")]
        still = [f"{name} ({_short(_get(after, name))})" for name in rest if _get(after, name) and name not in given]
        raise UserError(
            f"{where}: {prefix}data.source is now {source}, but {key} is still {judged}: give --config.{key} too"
            + (f", and of {', '.join(still)} those that differ in the new data" if still else "")
        )


def _short(value: Any) -> str:
    return value if isinstance(value, str) else f"{len(value)} names"
