"""Between Darknet's files and our workdirs: `yolo9000 convert`, and weights to start a training run from."""

import math
from dataclasses import replace
from os import PathLike
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from yolo9000_jax import config as configs
from yolo9000_jax.darknet import native
from yolo9000_jax.darknet.cfg import Cfg, parse_cfg
from yolo9000_jax.darknet.classes import read_classes
from yolo9000_jax.darknet.layers import Detection, Layer, Region
from yolo9000_jax.darknet.weights import WeightsHeader, count_numbers, read_weights, write_weights
from yolo9000_jax.errors import UserError
from yolo9000_jax.models import yolo_v1
from yolo9000_jax.models.layers import scaled
from yolo9000_jax.models.yolo_v2 import STRIDE
from yolo9000_jax.tasks.trees import TREE, load_tree, save_tree
from yolo9000_jax.training import state
from yolo9000_jax.workdir.checkpoints import Checkpoints, as_folder, load_variables

# Options of [region], and as far as it has them of [detection], by our keys of config.loss.
LOSS = {
    "coord_scale": "coord_scale",
    "object_scale": "object_scale",
    "noobject_scale": "noobject_scale",
    "class_scale": "class_scale",
    "ignore_threshold": "thresh",
    "rescore": "rescore",
    "bias_match": "bias_match",
}
# What says which network it is, by the same names in config.model and Native.
NETWORK = ("width", "head_convolutions", "passthrough", "architecture", "trunk", "head", "dropout", "logits")


def to_workdir(
    cfg: str | PathLike, weights: str | PathLike, workdir: str | PathLike, names: str | PathLike | None = None
) -> None:
    """Darknet's YOLOv1, YOLOv2, Extraction or Darknet-19, at any width, as a workdir: its outputs stay the same.

    The workdir's model divides in batch norm as Darknet on a CPU (`model.batch_norm` is "cpu"), as `load_darknet` does.

    Args:
        cfg, weights: Darknet's files.
        workdir: a new folder; gets config.json, a checkpoint, and the tree if the classes form one.
        names: a file of class names; None: "class 0", "class 1", … or, with a tree, the synsets.

    Raises:
        UserError: the network is not one of ours, a file is damaged, or the workdir holds a run.
    """
    workdir = as_folder(workdir)
    if (workdir / "config.json").exists():
        raise UserError(f"{workdir}: holds a run already; choose a new folder")
    plan = parse_cfg(cfg)
    ours = native.recognise(plan)
    labels, tree = read_classes(plan, names)
    config = _config(ours, plan, labels.names)
    if tree is not None:
        config.model.tree, config.evaluation.hierarchy_rule = str(workdir / TREE), "darknet"
    header, arrays = read_weights(weights, plan)
    variables = native.from_arrays(ours, plan, arrays)
    current = state.create(variables, optax.identity(), average=False)
    current = current.replace(step=jnp.asarray(min(header.seen // config.batch_size, 2**31 - 1), jnp.int32))
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{workdir}: cannot make this folder ({error.strerror}); choose another") from error
    checkpoints = Checkpoints(workdir)
    checkpoints.save(current)
    checkpoints.close()
    configs.save(config, workdir / "config.json")
    if tree is not None:
        save_tree(tree, None, workdir)


def from_workdir(workdir: str | PathLike, weights: str | PathLike) -> list[Path]:
    """The best checkpoint of a workdir as Darknet's files: FILE.weights, and FILE.cfg and FILE.names beside it.

    Where the classes form a tree also FILE.tree; Darknet looks for it in the working directory.
    Darknet has no option for batch norm's epsilon: a network trained here with `model.batch_norm` "gpu", the default,
    gives its own numbers on a Darknet with a GPU, or by `load_darknet(…, batch_norm="gpu")`; on a CPU scores move by
    some 1e-4.

    Returns:
        The files written.

    Raises:
        UserError: there is no checkpoint, a file cannot be written, or Darknet has no such network.
    """
    workdir, weights = as_folder(workdir), Path(weights)
    if not (workdir / "config.json").is_file():
        raise UserError(f"{workdir}: no config.json, so this is no workdir of `yolo9000 train`")
    config = configs.read(workdir / "config.json")
    variables = jax.device_get(load_variables(workdir))
    tree = load_tree(workdir)
    names = config.model.classes if tree is None else tree.names
    ours, text = _describe(config, len(names), {} if tree is None else {"tree": weights.with_suffix(".tree").name})
    checkpoints = Checkpoints(workdir)
    seen = checkpoints.best_step * config.batch_size
    checkpoints.close()
    plan = parse_cfg(text)
    write_weights(weights, plan, native.as_arrays(ours, plan, variables), WeightsHeader(seen=seen))
    beside = {".cfg": text, ".names": "".join(f"{name}\n" for name in names)}
    if tree is not None:
        nodes = zip(tree.synsets, tree.parents, strict=True)
        beside[".tree"] = "".join(f"{synset} {parent}\n" for synset, parent in nodes)
    for suffix, content in beside.items():
        try:
            weights.with_suffix(suffix).write_text(content, "utf-8")
        except OSError as error:
            raise UserError(f"{weights.with_suffix(suffix)}: cannot be written ({error.strerror})") from error
    return [weights, *(weights.with_suffix(suffix) for suffix in beside)]


def read_start(path: str | PathLike, config) -> dict:
    """Variables for a model of `config` from a .weights file, as far as the file goes.

    The file may be a whole detector or classifier of the same width, with any number of classes, or the first layers of
    a detector (darknet19_448.conv.23). What does not fit the model is for the caller to leave out.

    Raises:
        UserError: the file cannot be read, or it ends where no layer of such a network ends.
    """
    numbers = count_numbers(path)
    for task in ("detection", "classification"):
        plan = _plan(config, task, 1)
        *body, last = (layer for layer in plan.layers if layer.parameters())
        outputs, odd = divmod(numbers - sum(map(_count, body)), _count(last))
        if outputs > 0 and not odd:
            return _read(path, config, task, outputs)
    return _read(path, config, "detection", 1)


def _read(path: str | PathLike, config, task: str, outputs: int) -> dict:
    plan = _plan(config, task, outputs)
    _, arrays = read_weights(path, plan, allow_partial=True)
    return native.from_arrays(_native(config, task, outputs), plan, arrays)


def _plan(config, task: str, outputs: int) -> Cfg:
    side = config.image_size  # which sizes the fully connected layers of YOLOv1
    text = native.write_cfg(_native(config, task, outputs), {"width": side, "height": side, "channels": 3})
    return replace(parse_cfg(text), name=f"a model of width {config.model.width:g}")


def _native(config, task: str, outputs: int) -> native.Native:
    options = config.model
    hidden = options.hidden or scaled(yolo_v1.HEADS[options.head], options.width)
    shared = {name: options[name] for name in NETWORK}
    return native.Native(task, outputs, batch_norm=options.use_batch_norm, hidden=hidden, **shared)


def _count(layer: Layer) -> int:
    return sum(map(math.prod, layer.parameters().values()))


def _config(ours: native.Native, plan: Cfg, names: tuple[str, ...]):
    """The config of a workdir for the network that `plan` describes."""
    net, head = plan.net, plan.head
    if net.width != net.height or net.width % STRIDE:
        advice = f"a workdir's is square and a multiple of {STRIDE}: change width and height in the cfg"
        raise UserError(f"{plan.name}: the input is {net.width}x{net.height}; {advice}")
    if getattr(head, "background", False) or getattr(head, "temperature", 1) != 1:
        raise UserError(f"{plan.name}, line {head.line}: background or temperature can be run, not converted")
    config = configs.detection()
    config.task = ours.task
    config.image_size, config.batch_size = net.width, net.batch
    for name in NETWORK:
        config.model[name] = getattr(ours, name)
    config.model.use_batch_norm, config.model.batch_norm = ours.batch_norm, "cpu"
    config.model.classes = names
    config.evaluation.split = "all"
    config.evaluation.resize = "letterbox"
    if isinstance(head, Region):
        if not head.softmax:
            raise UserError(f"{plan.name}, line {head.line}: [region] softmax=0 can be run, not converted")
        config.model.anchors_cells = tuple(zip(head.anchors[::2], head.anchors[1::2], strict=True))
    if isinstance(head, Detection):
        if head.softmax or not head.sqrt or head.forced:
            unusual = "softmax=1, sqrt=0 or forced=1"
            raise UserError(f"{plan.name}, line {head.line}: [detection] {unusual} can be run, not converted")
        config.model.side, config.model.boxes_per_cell, config.model.hidden = head.side, head.num, ours.hidden
        config.evaluation.resize = "stretch"
    if ours.task == "detection":
        for ours_key, theirs in LOSS.items():
            config.loss[ours_key] = getattr(head, theirs, config.loss[ours_key])
    return config


def _describe(config, classes: int, tree: dict[str, str]) -> tuple[native.Native, str]:
    """The network of a workdir's config, and the text of its cfg; `tree` is the option that names its tree, or none."""
    if (way := config.model.box_parametrisation) != "direct":
        raise UserError(f"a network with model.box_parametrisation={way!r} cannot be written as Darknet's files")
    side = config.evaluation.image_size or config.image_size
    net = {"batch": config.batch_size, "width": side, "height": side, "channels": 3}
    options = config.optimizer
    net |= {"learning_rate": options.learning_rate, "momentum": options.momentum, "decay": options.weight_decay}
    if config.task == "classification":
        ours = _native(config, config.task, classes)
        return ours, native.write_cfg(ours, net, ("softmax", {"groups": 1} | tree))
    loss = {theirs: config.loss[key] for key, theirs in LOSS.items()}
    loss = {key: int(value) if isinstance(value, bool) else value for key, value in loss.items()}
    common = {"classes": classes, "coords": 4, "jitter": config.augment.jitter}
    if config.model.architecture == "yolo_v1":
        side, num = config.model.side, config.model.boxes_per_cell
        detection = {"side": side, "num": num, "softmax": 0, "sqrt": 1} | common
        detection |= {key: value for key, value in loss.items() if key not in ("thresh", "bias_match")}
        ours = _native(config, config.task, side**2 * (classes + 5 * num))
        return ours, native.write_cfg(ours, net, ("detection", detection))
    anchors = [float(length) for anchor in config.model.anchors_cells for length in anchor]
    num = len(anchors) // 2
    region = {"anchors": ",".join(map(repr, anchors)), "num": num, "softmax": 1} | common | loss | tree
    region["random"] = int(len(config.multi_scale) > 1)
    ours = _native(config, config.task, num * (5 + classes))
    return ours, native.write_cfg(ours, net, ("region", region))
