"""Experiment configurations: every key with its default, loading, overriding, checking."""

import ast
import difflib
import importlib.util
import inspect
import json
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import ml_collections

from yolo9000_jax.errors import UserError
from yolo9000_jax.files import write_whole

# Keys that may change between a run and its continuation: they do not alter what is learnt at a given step.
FREE_ON_RESUME = ("log_every", "evaluate_every", "checkpoint_every", "evaluation.batch_size")

CHOICES = {
    "task": ("detection", "classification", "joint"),
    "model.architecture": ("yolo_v2", "yolo_v1"),
    "model.trunk": ("darknet19", "extraction", "tiny"),
    "model.box_parametrisation": ("direct", "offset"),
    "model.priors": ("kmeans", "hand_picked"),
    "model.logits": ("linear", "leaky"),
    "model.head": ("connected", "local", "direct"),
    "model.batch_norm": ("gpu", "cpu"),
    "model.compute_dtype": ("float32", "bfloat16"),
    "augment.geometry": ("crop", "place", "rotate_crop", "none"),
    "optimizer.schedule": ("steps", "polynomial", "cosine", "constant"),
    "loss.class_box": ("paper", "darknet", "detection"),
    "loss.class_objectness": ("paper", "darknet"),
    "evaluation.resize": ("stretch", "letterbox"),
    "evaluation.hierarchy_rule": ("conditional", "darknet"),
}
POSITIVE = ("steps", "batch_size", "multi_scale_every", "log_every", "checkpoint_every", "evaluation.batch_size")
# What belongs into the tuples that are empty by default.
EXAMPLES = {
    "multi_scale": (320, 352),
    "model.anchors_cells": ((1.5, 2.0),),
    "data.classes": ("cat", "dog"),
    "model.classes": ("cat", "dog"),
    "classification.classes": ("cat", "dog"),
    "evaluation.classes": ("cat", "dog"),
}


def detection() -> ml_collections.ConfigDict:
    """Every key of an experiment, with the paper's recipe for detection as the default."""
    c = ml_collections.ConfigDict()
    c.name = "experiment"  # names the folder of a run that pre-trains for others
    c.task = "detection"  # "classification", "detection", or "joint" (paper, section 4)
    c.seed = 0
    c.steps = 1000  # updates in all
    c.batch_size = 64  # images an update, over all devices and hosts
    c.image_size = 416  # side of the network's input, a multiple of 32
    c.multi_scale = ()  # sizes to draw from, e.g. (320, 352, …, 608); empty: always image_size
    c.multi_scale_every = 10  # steps between two draws
    c.log_every = 20
    c.evaluate_every = 0  # steps; 0: only at the end
    c.checkpoint_every = 500
    c.init_from = ""  # weights to start from: a workdir's, matched by name and shape, or darknet:FILE.weights
    c.pretraining = ml_collections.ConfigDict()  # the experiment to train first and to start from; empty: none

    c.model = ml_collections.ConfigDict()
    c.model.architecture = "yolo_v2"  # of a detector; or "yolo_v1", which works at one input size
    c.model.trunk = "darknet19"  # or "extraction", YOLOv1's; or "tiny", Fast YOLO's (yolo_v1 only)
    c.model.use_batch_norm = True  # False: convolutions have biases instead
    c.model.box_parametrisation = "direct"  # "direct" location prediction, or "offset" as region proposal networks
    c.model.logits = "linear"  # end of extraction's classifier: "linear" (YOLOv1 paper) or "leaky" (Darknet)
    c.model.head = "connected"  # of yolo_v1: "connected" (paper), "local" (Darknet), "direct" (Darknet's tiny one)
    c.model.hidden = 0  # units, or filters, of that layer; 0: 4096, or 256, times width
    c.model.dropout = 0.5  # after that layer
    c.model.side = 7  # rows and columns of yolo_v1's grid
    c.model.boxes_per_cell = 2  # of yolo_v1
    c.model.classes = ()  # names of what it tells apart, which the run fills in; with a tree, of its detection classes
    c.model.width = 1.0  # multiplies the filters of every layer
    c.model.head_convolutions = True  # False: none after the trunk, nor the passthrough, as in Darknet's yolo9000.cfg
    c.model.passthrough = True
    c.model.anchors_cells = ()  # priors (w, h) in cells of 32 pixels; empty: as model.priors says
    c.model.priors = "kmeans"  # on the training boxes; or "hand_picked", Faster R-CNN's nine
    c.model.num_anchors = 5  # how many, where k-means chooses them
    c.model.tree = ""  # the classes form a WordTree: FILE.tree, "emoji" or "flat" (see tasks.trees)
    c.model.batch_norm = "gpu"  # divides by sqrt(var + 1e-5), as Darknet on a GPU; "cpu": by sqrt(var) + 1e-6
    c.model.batch_norm_momentum = 0.99
    c.model.sync_batch_norm = False  # share batch statistics over all devices
    c.model.compute_dtype = "float32"  # or "bfloat16"

    c.data = ml_collections.ConfigDict()
    c.data.source = ""  # voc:DIR, coco:ANNOTATIONS.json,IMAGES_DIR, yolo:data.yaml, folders:DIR, tfds:NAME, emoji
    c.data.split = "train"
    c.data.classes = ()  # class names in order; empty: the source's own
    c.data.include_difficult = False  # train on boxes marked difficult (Darknet does not)
    c.data.max_boxes = 0  # boxes an image in a batch; 0: as many as the fullest picture has

    c.classification = ml_collections.ConfigDict()  # of a joint experiment: pictures with a label and no box
    c.classification.source = ""
    c.classification.split = "train"
    c.classification.classes = ()
    c.classification.ratio = 4.0  # at most so many of them to one with boxes, which are repeated for it (paper: 4)

    c.augment = ml_collections.ConfigDict()
    c.augment.geometry = "crop"  # "crop" (paper), "place" on grey (darknet.md 9), "rotate_crop" (classifiers), "none"
    c.augment.jitter = 0.2  # share of the picture's sides that crop or place may move
    c.augment.flip = 0.5  # probability of mirroring left and right
    c.augment.flip_vertical = 0.0  # probability of mirroring up and down, for pictures without an up
    c.augment.hue = 0.1
    c.augment.saturation = 1.5
    c.augment.exposure = 1.5
    c.augment.angle = 7.0  # of "rotate_crop": degrees to both sides; Darknet's numbers for 224 (darknet.md 11)
    c.augment.aspect = 0.75  # limit of the change of proportions, a factor
    c.augment.min_crop = 128  # pixels that the picture's shorter side may be brought to before the crop
    c.augment.max_crop = 448

    c.optimizer = ml_collections.ConfigDict()
    c.optimizer.learning_rate = 1e-3
    c.optimizer.momentum = 0.9
    c.optimizer.weight_decay = 5e-4
    c.optimizer.clip_norm = 0.0  # longest gradient; 0: any
    c.optimizer.schedule = "steps"  # "steps", "polynomial", "cosine", "constant"
    c.optimizer.boundaries = (0.375, 0.5625)  # of "steps": shares of the run (epochs 60 and 90 of 160)
    c.optimizer.factors = (0.1, 0.1)
    c.optimizer.power = 4.0  # of "polynomial"
    c.optimizer.burn_in = 0  # steps over which the rate rises to learning_rate
    c.optimizer.burn_in_power = 4.0
    c.optimizer.average_decay = 0.0  # moving average of the weights for evaluation; 0: none

    c.loss = ml_collections.ConfigDict()  # of yolo_v2
    c.loss.coord_scale = 1.0
    c.loss.object_scale = 5.0
    c.loss.noobject_scale = 1.0
    c.loss.class_scale = 1.0
    c.loss.ignore_threshold = 0.6  # a box overlapping a truth by more is not pushed to "no object"
    c.loss.warmup_images = 12800  # images during which all boxes are pulled to their priors
    c.loss.rescore = True  # objectness learns the IoU rather than 1
    c.loss.bias_match = True  # the responsible prior is chosen by the priors' shapes, not the predictions'
    c.loss.class_box = "paper"  # which box a picture without boxes trains; or "darknet", "detection" (losses/region.py)
    c.loss.class_objectness = "paper"  # pulls that box's objectness up to .3; "darknet": pushes all others to 0

    c.yolo_v1_loss = ml_collections.ConfigDict()
    c.yolo_v1_loss.coord_scale = 5.0
    c.yolo_v1_loss.object_scale = 1.0
    c.yolo_v1_loss.noobject_scale = 0.5
    c.yolo_v1_loss.class_scale = 1.0
    c.yolo_v1_loss.rescore = True  # objectness learns the IoU rather than 1

    c.evaluation = ml_collections.ConfigDict()
    c.evaluation.source = ""  # empty: as data.source
    c.evaluation.split = "val"
    c.evaluation.classes = ()  # empty: as data.classes; with a tree, the source's own
    c.evaluation.image_size = 0  # 0: as image_size
    c.evaluation.resize = "stretch"  # or "letterbox"; of detection: classifiers crop
    c.evaluation.batch_size = 8
    c.evaluation.score_threshold = 0.005
    c.evaluation.nms_threshold = 0.45
    c.evaluation.hierarchy_rule = "conditional"  # what "sure enough" is in a tree; "darknet": darknet.md 7.3
    return c.lock()


def classification() -> ml_collections.ConfigDict:
    """Every key of a classification experiment, with the paper's recipe (section 3) as the default."""
    c = detection()
    c.task = "classification"
    c.batch_size = 128
    c.image_size = 224
    c.augment.geometry = "rotate_crop"
    c.augment.saturation = 0.75
    c.augment.exposure = 0.75
    c.optimizer.learning_rate = 0.1
    c.optimizer.schedule = "polynomial"
    c.evaluation.batch_size = 32
    return c


def from_scratch() -> ml_collections.ConfigDict:
    """`detection` for little data and no pre-training: a narrow network, larger steps, an average of the weights.

    Made for a CPU and some minutes: our choice, measured on the demo and experiments/blood_cells.py, not the paper's.
    """
    c = detection()
    c.batch_size = 8
    c.log_every = 20
    c.model.width = 0.25
    c.model.batch_norm_momentum = 0.98
    c.optimizer.learning_rate = 5e-3
    c.optimizer.clip_norm = 10.0
    c.optimizer.schedule = "cosine"
    c.optimizer.burn_in = 100
    c.optimizer.burn_in_power = 1.0
    c.optimizer.average_decay = 0.995
    c.loss.warmup_images = 400
    return c


def classifier_from_scratch() -> ml_collections.ConfigDict:
    """`classification` for little data: narrow and short, as `from_scratch`, for which it is the pre-training."""
    c = classification()
    c.batch_size = 32
    c.model.width = 0.25
    c.model.batch_norm_momentum = 0.98
    c.optimizer.learning_rate = 0.05
    c.optimizer.clip_norm = 10.0
    c.optimizer.schedule = "cosine"
    c.optimizer.burn_in = 50
    c.optimizer.burn_in_power = 1.0
    return c


def load(path: str, overrides: dict[str, str] | None = None) -> ml_collections.ConfigDict:
    """The config that `FILE[:ROW]` describes, with `{"a.b": "value"}` overrides, checked.

    FILE is Python and holds `get_config(row=…)`. Where that has further arguments, overrides of their names are theirs.
    Raises UserError for a missing file, an unknown row or key, a value of the wrong type.
    """
    file, _, row = str(path).partition(".py:")
    file = file if file.endswith(".py") else file + ".py"
    module = load_module(file)
    overrides, given = dict(overrides or {}), {}
    with _beside(file, path):
        arguments = list(inspect.signature(module.get_config).parameters.values())[1:]
    for each in arguments:
        if each.name in overrides:
            given[each.name] = _convert(_parse(overrides.pop(each.name)), each.default, f"--config: {each.name}")
    with _beside(file, path):
        config = module.get_config(row, **given) if row else module.get_config(**given)
    return override(complete(config, file), overrides)


def load_module(file: str) -> ModuleType:
    """A config file as a module; raises UserError where it is missing or fails."""
    if not Path(file).is_file():
        raise UserError(f"{file}: no such config file; see experiments/ for examples")
    spec = importlib.util.spec_from_file_location("experiment", file)
    module = importlib.util.module_from_spec(spec)
    with _beside(file, file):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _beside(file: str, path: str):
    """Runs what a config file holds, which may build on the one beside it; its errors become UserErrors."""
    sys.path.insert(0, str(Path(file).resolve().parent))
    try:
        yield
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    except Exception as error:  # it is the user's program
        raise UserError(f"{path}: {type(error).__name__}: {_one_line(error)}") from error
    finally:
        sys.path.pop(0)


def unknown_row(row: str, rows=()) -> UserError:
    """The error of a config file that has no such row."""
    if not rows:
        return UserError(f"there is no row {row!r}; this file has a single experiment: leave :{row} out")
    near = difflib.get_close_matches(row, rows, 1)
    hint = f"did you mean {near[0]}?" if near else f"the rows are {', '.join(rows)}"
    return UserError(f"there is no row {row!r}; {hint}")


def complete(config, where: str = "config") -> ml_collections.ConfigDict:
    """`config` with every key it leaves out at its default. Raises UserError naming any key that does not exist."""
    given = config.to_dict() if hasattr(config, "to_dict") else config
    if not isinstance(given, dict):
        raise UserError(f"{where}: a config is a ConfigDict of keys, not {_one_line(repr(given))}")
    full = detection()
    _merge(full, given, where, "")
    return full


def override(config, overrides: dict[str, str], where: str = "--config"):
    """A copy of `config` with `{"a.b": "text"}` applied, each text read as the type that the key has."""
    config = config.copy_and_resolve_references()
    for key, text in overrides.items():
        nested = _parse(text)
        for name in reversed(key.split(".")):
            nested = {name: nested}
        _merge(config, nested, where, "")
    return config


def _parse(text: str):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False}.get(text.lower(), text)


def _merge(full, given: dict, where: str, prefix: str) -> None:
    for key, value in given.items():
        if key not in full:
            near = difflib.get_close_matches(key, list(full), 1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; the keys are {', '.join(full)}"
            raise UserError(f"{where}: there is no config key {prefix}{key}{hint}")
        default = full[key]
        if isinstance(default, ml_collections.ConfigDict):
            if not isinstance(value, dict):
                raise UserError(f"{where}: {prefix}{key} is a group of keys ({', '.join(default)}), not {value!r}")
            if key == "pretraining" and value and not default:
                with full.unlocked():
                    full[key] = default = detection()
            _merge(default, value, where, f"{prefix}{key}.")
        else:
            name = prefix + key
            full[key] = _convert(value, EXAMPLES.get(_without_stage(name), default), f"{where}: {name}")
            _check(full[key], name, where)


def _check(value, name: str, where: str) -> None:
    stage = _without_stage(name)
    if stage in CHOICES and value not in CHOICES[stage]:
        raise UserError(f"{where}: {name} is {value!r}; it can be {', '.join(CHOICES[stage])}")
    if stage in POSITIVE and value < 1:
        raise UserError(f"{where}: {name} is {value}; it must be 1 or more")


def _without_stage(name: str) -> str:
    """The key's name in its own experiment: "pretraining.task" is the "task" of the one to train first."""
    return name.rpartition("pretraining.")[2]


def _convert(value, default, where: str):
    if isinstance(default, tuple):
        if isinstance(value, (list, tuple)):
            return tuple(_convert(item, default[0], f"{where}[{place}]") for place, item in enumerate(value))
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
    raise UserError(f"{where} is {value!r}; it must be a {type(default).__name__}, such as {default!r}")


def save(config, path: Path) -> None:
    """Writes the config as JSON."""
    write_whole(path, json.dumps(config.to_dict(), indent=2) + "\n")


def read(path: Path) -> ml_collections.ConfigDict:
    """The config of a workdir, as `save` wrote it."""
    try:
        return complete(json.loads(path.read_text()), str(path))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a config that training wrote ({_one_line(error)})") from error


def difference(old, new) -> list[str]:
    """Keys, as 'a.b: old -> new', in which a continuation's config differs from the run's where it must not."""
    before, after = _flat(old), _flat(new)
    return [
        f"{key}: {before.get(key)!r} -> {after[key]!r}"
        for key in after
        if _without_stage(key) not in FREE_ON_RESUME and before.get(key) != after[key]
    ]


def _flat(config, prefix: str = "") -> dict:
    flat = {}
    for key, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _one_line(error: Exception | str) -> str:
    return " ".join(str(error).split())
