"""Filling a config in: keys that are given over the defaults, each of the type that its key has."""

import difflib
import re
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from yolo9000_jax.config import ranges
from yolo9000_jax.config.keys import detection, flat, without_stage
from yolo9000_jax.errors import UserError

# What belongs into the tuples that are empty by default.
EXAMPLES: dict[str, tuple] = {
    "multi_scale": (320, 352),
    "profile_steps": (100, 110),
    "model.anchors_cells": ((1.5, 2.0),),
    "data.classes": ("cat", "dog"),
    "classification.classes": ("cat", "dog"),
    "evaluation.classes": ("cat", "dog"),
}
# What other programs call our keys, without hyphens and underscores.
OTHER_NAMES = {
    **dict.fromkeys(("lr", "lr0", "baselr", "initiallr"), "optimizer.learning_rate"),
    **dict.fromkeys(("batch", "bs", "trainbatchsize", "minibatch"), "batch_size"),
    **dict.fromkeys(("imgsz", "imgsize", "img", "size", "inputsize", "resolution", "inputshape"), "image_size"),
    **dict.fromkeys(("epoch", "numepochs", "nepochs", "maxepochs", "numtrainepochs"), "epochs"),
    **dict.fromkeys(("iters", "iterations", "maxiter", "maxbatches", "maxsteps", "numsteps", "trainsteps"), "steps"),
    **dict.fromkeys(("time", "hours"), "minutes"),
    **dict.fromkeys(("weights", "pretrained", "ckpt", "loadfrom", "initweights"), "init_from"),
    **dict.fromkeys(("dataset", "datapath", "datadir", "traindata"), "data.source"),
    **dict.fromkeys(("names", "nc", "numclasses", "classnames"), "data.classes"),
    **dict.fromkeys(("valdata", "testdata", "valsource"), "evaluation.source"),
    **dict.fromkeys(("val", "valid", "validation", "valsplit"), "evaluation.split"),
    **dict.fromkeys(("conf", "confthres", "confidence", "threshold", "scorethresh"), "evaluation.score_threshold"),
    **dict.fromkeys(("iou", "iouthres", "nms"), "evaluation.nms_threshold"),
    **dict.fromkeys(("bestmetric", "monitor"), "evaluation.metric"),
    **dict.fromkeys(("anchors", "priorsizes"), "model.anchors_cells"),
    **dict.fromkeys(("backbone", "arch", "network"), "model.trunk"),
    **dict.fromkeys(("amp", "fp16", "half", "bf16", "precision", "dtype"), "model.compute_dtype"),
    **dict.fromkeys(("syncbn",), "model.sync_batch_norm"),
    **dict.fromkeys(("wd", "decay"), "optimizer.weight_decay"),
    **dict.fromkeys(("warmup", "warmupsteps", "warmupepochs", "warmupiters"), "optimizer.burn_in"),
    **dict.fromkeys(("scheduler", "lrschedule", "lrscheduler", "policy", "coslr"), "optimizer.schedule"),
    **dict.fromkeys(("gradclip", "clip", "maxgradnorm"), "optimizer.clip_norm"),
    **dict.fromkeys(("ema", "emadecay"), "optimizer.average_decay"),
    **dict.fromkeys(("saveperiod", "saveinterval", "saveevery", "savesteps"), "checkpoint_every"),
    **dict.fromkeys(("evalinterval", "evalevery", "evalsteps", "valinterval", "valperiod"), "evaluate_every"),
    **dict.fromkeys(("loginterval", "logsteps", "printfreq"), "log_every"),
    **dict.fromkeys(("fliplr", "hflip", "mirror"), "augment.flip"),
    **dict.fromkeys(("flipud", "vflip"), "augment.flip_vertical"),
    **{"hsvh": "augment.hue", "hsvs": "augment.saturation", "hsvv": "augment.exposure", "degrees": "augment.angle"},
    **{"randomseed": "seed", "maxobjects": "data.max_boxes"},
}
# What other programs have a key for and this one has not, and what is done instead.
ELSEWHERE = {
    **dict.fromkeys(
        ("device", "devices", "gpu", "gpus", "gpuids", "accelerator", "usegpu", "cuda", "cpu"),
        "all devices that JAX finds are used: choose with the variables JAX_PLATFORMS=cpu, cuda or tpu, and "
        "CUDA_VISIBLE_DEVICES=0",
    ),
    **dict.fromkeys(
        ("workers", "numworkers", "threads", "njobs", "dataloaderworkers"), "all cores of the machine are used"
    ),
    **dict.fromkeys(
        ("workdir", "project", "output", "outputdir", "outdir", "savedir", "logdir", "rundir"),
        "say where the run goes with --workdir DIR",
    ),
    **dict.fromkeys(("resume", "resumefrom"), "the same command with the same --workdir carries on"),
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
            hint = _meant(str(key), prefix, full) or f"the keys are {', '.join(full)}"
            raise UserError(f"{where}: there is no config key {prefix}{key}; {hint}")
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
            if value is None and isinstance(default, str | tuple):
                value = type(default)()  # nothing given
            full[key] = convert(value, EXAMPLES.get(without_stage(name), default), f"{where}: {name}")
            check(full[key], name, where)


def _meant(name: str, prefix: str, group: ConfigDict) -> str:
    """What to do where a group has no key `name`, or "": the key meant, of that group or of any."""
    stage = prefix[: prefix.rfind("pretraining.") + len("pretraining.")] if "pretraining." in prefix else ""
    keys = sorted(flat(detection()), key=lambda key: (not key.startswith("data."), key))
    plain = re.sub(r"[-_ ]", "", name.lower())
    if plain in ELSEWHERE:
        return ELSEWHERE[plain]
    found = [stage + key for key in keys if key.rpartition(".")[2].replace("_", "") == plain]
    if not found and plain in OTHER_NAMES:
        found = [stage + OTHER_NAMES[plain]]
    if not found:
        found = [prefix + near for near in difflib.get_close_matches(name, list(group), 1)]
    if not found:
        last = {key.rpartition(".")[2]: stage + key for key in reversed(keys)}
        found = [last[near] for near in difflib.get_close_matches(name, list(last), 1)]
    return f"did you mean {' or '.join(found)}?" if found else ""


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
    elif isinstance(default, str) and value is not None:
        return str(value)
    quoted = "; leave the quotes out" if isinstance(value, str) and re.fullmatch(r"[-+.\d]+(e[-+]?\d+)?", value) else ""
    raise UserError(f"{where} is {value!r}; it must be {KINDS[type(default)]}, such as {default!r}{quoted}")


def one_line(error: Exception | str) -> str:
    """The text of an error without its line breaks."""
    return " ".join(str(error).split())
