"""Between Darknet's files and our workdirs: `yolo9000 convert`, and weights to start a training run from."""

import math
import re
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from yolo9000_jax import config as configs
from yolo9000_jax.darknet import native
from yolo9000_jax.darknet.building import plan_of
from yolo9000_jax.darknet.cfg import Cfg, parse_cfg
from yolo9000_jax.darknet.classes import read_classes
from yolo9000_jax.darknet.layers import Convolutional, Detection, Layer, Region
from yolo9000_jax.darknet.network import to_arrays, to_variables
from yolo9000_jax.darknet.weights import Arrays, WeightsHeader, count_numbers, read_weights, write_weights
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import write_whole
from yolo9000_jax.logs import logger
from yolo9000_jax.models import yolo_v1
from yolo9000_jax.models.layers import scaled
from yolo9000_jax.models.network import Network
from yolo9000_jax.models.trunk import names_after
from yolo9000_jax.models.yolo_v2 import PASSTHROUGHS, STRIDE, TRUNKS
from yolo9000_jax.places import as_path
from yolo9000_jax.wordtree.tree import WordTree
from yolo9000_jax.workdir.checkpoints import save_variables
from yolo9000_jax.workdir.facts import CONFIG, FACTS, Facts, load_best, save_facts

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
# What says which network it is, by the same names in Network and Native.
NETWORK = ("width", "head_convolutions", "passthrough", "architecture", "trunk", "head", "dropout", "logits")

BESIDE = (".cfg", ".names", ".tree")  # the endings of the files beside the weights


def to_workdir(
    cfg: str | PathLike, weights: str | PathLike, workdir: str | PathLike, names: str | PathLike | None = None
) -> None:
    """Darknet's YOLOv1, YOLOv2, Extraction or Darknet-19, at any width, as a workdir: its outputs stay the same.

    The workdir's model divides in batch norm as Darknet on a CPU (`batch_norm` is "cpu"), as `load_darknet` does.

    Args:
        cfg, weights: Darknet's files.
        workdir: a new folder; gets a checkpoint, the tree if the classes form one, and then network.json.
        names: a file of class names; None: "class 0", "class 1", … or, with a tree, the synsets.

    Raises:
        UserError: the network is not one of ours, a file is damaged, or the workdir holds a run.
    """
    folder = as_path(workdir)
    if (folder / CONFIG).exists() or (folder / FACTS).exists():
        raise UserError(f"{folder}: holds a run already; choose a new folder")
    plan = parse_cfg(cfg)
    ours = native.recognise(plan)
    labels, tree = read_classes(plan, names)
    network = _network(ours, plan, labels.names, tree)
    header, arrays = read_weights(weights, plan)
    variables = native.from_arrays(ours, plan, arrays)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot make this folder ({error.strerror}); choose another") from error
    save_variables(variables, folder)
    save_facts(Facts(network, pictures_seen=header.seen), folder)


def from_workdir(workdir: str | PathLike, weights: str | PathLike) -> list[Path]:
    """The best checkpoint of a workdir as Darknet's files: FILE.weights, and FILE.cfg and FILE.names beside it.

    Where the classes form a tree also FILE.tree; Darknet looks for it in the working directory.
    Darknet has no option for batch norm's epsilon: a network trained here with `model.batch_norm` "gpu", the default,
    gives its own numbers on a Darknet with a GPU, or by `load_darknet(…, batch_norm="gpu")`; on a CPU scores move by
    some 1e-4. That is of the network's outputs for the same inputs. On pictures it also takes the same resize and
    sampling: those of a network trained here are "stretch" (classifiers "crop") and "half_pixel"; Darknet letterboxes a
    YOLOv2's pictures and samples from corner to corner (images.resizing), and so does what `load_darknet` returns,
    until its `resize` and `sampling` are set.

    Returns:
        The files written.

    Raises:
        UserError: there is no checkpoint, a file cannot be written or is there with other content (of an earlier
            conversion the weights may be others), or Darknet has no such network.
    """
    target = as_path(weights)
    if target.suffix.lower() in BESIDE:
        raise UserError(
            f"{target}: the weights go into FILE.weights, and a {target.suffix} file beside: name FILE.weights"
        )
    variables, step, facts = load_best(as_path(workdir))
    network, tree = facts.network, facts.network.tree
    config, seen = configs.detection(), facts.pictures_seen
    if facts.run is not None:  # what else Darknet's cfg says is of the training
        config = configs.from_saved(facts.run.phase.config, FACTS)
        seen = facts.run.pictures_seen(step)
    text, arrays = _as_darknet(network, config, variables, target.with_suffix(".tree").name)
    beside = {".cfg": text, ".names": "".join(f"{name}\n" for name in network.classes)}
    if tree is not None:
        nodes = zip(tree.synsets, tree.parents, strict=True)
        beside[".tree"] = "".join(f"{synset} {parent}\n" for synset, parent in nodes)
    files = {target.with_suffix(suffix): content for suffix, content in beside.items()}
    _check_earlier(target, files)
    write_weights(target, parse_cfg(text), arrays, WeightsHeader(seen=seen))
    for file, content in files.items():
        write_whole(file, content)
    return [target, *files]


def _check_earlier(weights: Path, texts: dict[Path, str]) -> None:
    """Raises UserError where a file would be lost that is not of an earlier conversion of this network."""
    advice = "choose another name, or remove it"
    for file, content in texts.items():
        if file.exists() and (not file.is_file() or file.read_bytes() != content.encode()):
            raise UserError(f"{file} is there, with other content than that of this network: {advice}")
    if weights.is_file() and not weights.with_suffix(".cfg").exists():
        raise UserError(f"{weights} is there, without a .cfg of this network beside it: {advice}")


def _as_darknet(network: Network, config: Any, variables: dict[str, Any], tree: str) -> tuple[str, Arrays]:
    """The cfg of a workdir's network, which finds its tree, if there is one, in the file `tree`; and its arrays."""
    if network.architecture == "cfg":
        text = re.sub(r"(?m)^tree=.*$", lambda _: f"tree={tree}", network.cfg)
        return text, to_arrays(parse_cfg(text), variables)
    ours, text = _describe(network, config, {} if network.tree is None else {"tree": tree})
    return text, native.as_arrays(ours, parse_cfg(text), variables)


def read_start(path: str | PathLike, network: Network) -> dict[str, Any]:
    """Variables for a model of `network` from a .weights file, as far as the file goes.

    The file may be a whole detector or classifier of the same width, with any number of classes and any passthrough, or
    the first layers of a detector (darknet19_448.conv.23). The layer behind the passthrough is left out where that is
    another one than the network's, whose channels it would take for others. What else does not fit the model is for the
    caller to leave out.

    Raises:
        UserError: the file cannot be read, or it ends where no layer of such a network ends.
    """
    if network.architecture == "cfg":
        return _read_start_of_cfg(path, plan_of(network.cfg))
    numbers, own = count_numbers(path), network.passthrough
    ways = [own, *(way for way in PASSTHROUGHS if way != own)]
    fits = []
    for task, way in [*(("detection", way) for way in ways), ("classification", own)]:
        plan = _plan(replace(network, passthrough=way), task, 1)
        *body, last = (layer for layer in plan.layers if layer.parameters())
        outputs, odd = divmod(numbers - sum(map(_count, body)), _count(last))
        if outputs > 0 and not odd:
            fits.append((outputs, task, way))
    # What fits by accident takes missing layers for a great many outputs.
    outputs, task, way = min(fits, key=lambda fit: fit[0], default=(1, "detection", own))
    return _without_other_orders(_read(path, replace(network, passthrough=way), task, outputs), network, way)


def _read_start_of_cfg(path: str | PathLike, plan: Cfg) -> dict[str, Any]:
    """The same for a network that a cfg describes; its last layer may have other outputs in the file."""
    *body, last = (layer for layer in plan.layers if layer.parameters() and not layer.dontload)
    rest = count_numbers(path) - sum(map(_count, body))
    outputs, odd = divmod(rest, max(_count(last) // last.out_shape[2], 1))
    if rest > 0 and not odd and outputs != last.out_shape[2] and isinstance(last, Convolutional):
        other = replace(last, filters=outputs, out_shape=(*last.out_shape[:2], outputs))
        plan = replace(plan, layers=tuple(other if layer is last else layer for layer in plan.layers))
    header, arrays = read_weights(path, plan, allow_partial=True)
    if header.seen:
        logger.info(f"{path}: has seen {header.seen} pictures; here the rates begin anew, as with Darknet's -clear")
    return to_variables(plan, arrays)


def _without_other_orders(variables: dict[str, Any], network: Network, way: str) -> dict[str, Any]:
    """Variables of a file with the passthrough `way`, without the layer behind it where its channels are others."""
    if network.architecture == "yolo_v1" or way == network.passthrough != "paper":  # Darknet's "paper" is of its reorg
        return variables
    behind = names_after(*TRUNKS[network.trunk])[-1]
    return {
        group: {name: layer for name, layer in layers.items() if name != behind} for group, layers in variables.items()
    }


def _read(path: str | PathLike, network: Network, task: str, outputs: int) -> dict[str, Any]:
    plan = _plan(network, task, outputs)
    _, arrays = read_weights(path, plan, allow_partial=True)
    return native.from_arrays(_native(network, task, outputs), plan, arrays)


def _plan(network: Network, task: str, outputs: int) -> Cfg:
    side = network.image_size  # which sizes the fully connected layers of YOLOv1
    text = native.write_cfg(_native(network, task, outputs), {"width": side, "height": side, "channels": 3})
    return replace(parse_cfg(text), name=f"a model of width {network.width:g}")


def _native(network: Network, task: str, outputs: int) -> native.Native:
    hidden = network.hidden or scaled(yolo_v1.HEADS[network.head], network.width)
    shared = {name: getattr(network, name) for name in NETWORK}
    return native.Native(task, outputs, batch_norm=network.use_batch_norm, hidden=hidden, **shared)


def _count(layer: Layer) -> int:
    return sum(map(math.prod, layer.parameters().values()))


def _network(ours: native.Native, plan: Cfg, names: tuple[str, ...], tree: WordTree | None) -> Network:
    """What the network that `plan` describes is."""
    net, head = plan.net, plan.head
    if net.width != net.height or net.width % STRIDE:
        advice = f"a workdir's is square and a multiple of {STRIDE}: change width and height in the cfg"
        raise UserError(f"{plan.name}: the input is {net.width}x{net.height}; {advice}")
    if getattr(head, "background", False) or getattr(head, "temperature", 1) != 1:
        raise UserError(f"{plan.name}, line {head.line}: background or temperature can be run, not converted")
    values: dict[str, Any] = {name: getattr(ours, name) for name in NETWORK}
    values |= {"task": ours.task, "use_batch_norm": ours.batch_norm, "batch_norm": "cpu", "classes": names}
    values |= {"image_size": net.width, "sampling": "darknet", "hierarchy_rule": "darknet", "tree": tree}
    values |= {"resize": plan.resize}
    values |= {"synsets": None if tree is None else tree.synsets}
    if isinstance(head, Region):
        if not head.softmax:
            raise UserError(f"{plan.name}, line {head.line}: [region] softmax=0 can be run, not converted")
        values["anchors_cells"] = tuple(zip(head.anchors[::2], head.anchors[1::2], strict=True))
    if isinstance(head, Detection):
        if head.softmax or not head.sqrt or head.forced:
            unusual = "softmax=1, sqrt=0 or forced=1"
            raise UserError(f"{plan.name}, line {head.line}: [detection] {unusual} can be run, not converted")
        values |= {"side": head.side, "boxes_per_cell": head.num, "hidden": ours.hidden}
    return Network(**values)


def _describe(network: Network, config: Any, tree: dict[str, str]) -> tuple[native.Native, str]:
    """The network of a workdir, and the text of its cfg.

    Args:
        network: what it is.
        config: of its training, for the options that only training needs; the defaults where it had none here.
        tree: the option that names its tree, or none.
    """
    if (way := network.box_parametrisation) != "direct":
        raise UserError(f"a network with model.box_parametrisation={way!r} cannot be written as Darknet's files")
    if network.architecture == "yolo_v2" and network.head_convolutions and network.passthrough == "paper":
        raise UserError(
            "a network with model.passthrough='paper' cannot be written as Darknet's files: reorg stacks no neighbours"
        )
    classes, side = len(network.classes), network.image_size
    net = {"batch": config.batch_size, "width": side, "height": side, "channels": 3}
    options = config.optimizer
    net |= {"learning_rate": options.learning_rate, "momentum": options.momentum, "decay": options.weight_decay}
    if network.task == "classification":
        ours = _native(network, network.task, classes)
        return ours, native.write_cfg(ours, net, ("softmax", {"groups": 1} | tree))
    common = {"classes": classes, "coords": 4, "jitter": config.augment.jitter}
    if network.architecture == "yolo_v1":
        num = network.boxes_per_cell
        detection = {"side": network.side, "num": num, "softmax": 0, "sqrt": 1} | common
        detection |= _loss_options(config.yolo_v1_loss)
        ours = _native(network, network.task, network.side**2 * (classes + 5 * num))
        return ours, native.write_cfg(ours, net, ("detection", detection))
    anchors = [float(length) for anchor in network.anchors_cells for length in anchor]
    num = len(anchors) // 2
    region = {"anchors": ",".join(map(repr, anchors)), "num": num, "softmax": 1} | common
    region |= _loss_options(config.loss) | tree | {"random": int(len(config.multi_scale) > 1)}
    ours = _native(network, network.task, num * (5 + classes))
    return ours, native.write_cfg(ours, net, ("region", region))


def _loss_options(loss: Any) -> dict[str, float | int]:
    """Darknet's options of the loss, by its names for them."""
    found = {theirs: loss[key] for key, theirs in LOSS.items() if key in loss}
    return {key: int(value) if isinstance(value, bool) else value for key, value in found.items()}
