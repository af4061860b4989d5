"""What `darknet detector train` or `classifier train` does with a cfg and a .data file, as an experiment of ours."""

from os import PathLike
from pathlib import Path

from ml_collections import ConfigDict

from yolo9000_jax import config as configs
from yolo9000_jax.darknet.cfg import Cfg, parse_cfg
from yolo9000_jax.darknet.classes import count_classes, find_file
from yolo9000_jax.darknet.layers import Cost, Detection, Layer, Region, Softmax
from yolo9000_jax.data.darknet_lists import read_lists
from yolo9000_jax.errors import UserError
from yolo9000_jax.logs import logger

SIZE_STEP = 32  # of the inputs that are trained at
SIZES = tuple(range(320, 609, SIZE_STEP))  # that random=1 draws from (darknet.md 10)
SCALES = ("coord_scale", "object_scale", "noobject_scale", "class_scale", "rescore")


def read_recipe(cfg: str | PathLike, data: str | PathLike, weights: str | PathLike = "") -> ConfigDict:
    """The experiment that a Darknet user's files describe (darknet.md 5, 8 to 12), complete and checked.

    Its keys may be changed as those of any other. What has no counterpart here is logged.

    Args:
        cfg: the network, with the options of its training in [net] and in its last layer.
        data: the .data file: names, and the lists train and valid; of a classifier labels too.
        weights: the .weights file to start from, whole or the first layers; "": start at random.

    Raises:
        UserError: a file is missing or wrong, they do not belong together, or an option would give other numbers here.
    """
    plan = parse_cfg(cfg)
    lists = read_lists(str(data))
    _check_network(plan)
    c = training_of(plan)
    _check_classes(plan, lists.names, lists.file)
    for note in (*plan.warnings, *_notes(plan)):
        logger.warning(note)
    c.name = Path(cfg).stem
    c.init_from = f"darknet:{weights}" if weights else ""
    c.model.tree = _file_of(plan, "tree")
    c.data.source = f"{'yolo' if c.task == 'detection' else 'darknet'}:{data}"
    c.data.map = _file_of(plan, "map")
    c.evaluation.split = "val" if lists.judges_apart else "train"
    if c.model.tree:
        c.evaluation.hierarchy_rule = "darknet"
    complete = configs.complete(c, str(cfg))
    configs.check(complete, str(cfg))
    return complete


def training_of(plan: Cfg) -> ConfigDict:
    """All that a cfg itself says of an experiment, as its keys; the files that it names are left out.

    Raises:
        UserError: an option cannot be read, or would give other numbers here.
    """
    net, head = plan.net, plan.head
    unread = [*net.unread, *(option for layer in plan.layers for option in layer.unread)]
    if unread:
        raise UserError(f"{plan.name}: {', '.join(unread)}: cannot be trained with; correct it in the cfg")
    if not isinstance(head, Region | Detection | Softmax):
        raise UserError(
            f"{plan.name}: ends in [{head.type}], which learns nothing: a detector ends in [region] or [detection], a "
            "classifier in [softmax]"
        )
    c = configs.classification() if isinstance(head, Softmax) else configs.detection()
    c.image_size = net.width
    c.model.architecture, c.model.cfg = "cfg", plan.text
    c.evaluation.sampling = "darknet"
    c.augment.update({"hue": net.hue, "saturation": net.saturation, "exposure": net.exposure})
    _set_updates(c, plan)
    if isinstance(head, Softmax):
        _set_crop(c, plan)
    elif isinstance(head, Detection):
        _set_yolo_v1(c, plan, head)
    else:
        _set_yolo_v2(c, plan, head)
    return c


def _check_network(plan: Cfg) -> None:
    """Raises UserError where the network takes pictures of a kind that is not trained on here."""
    net = plan.net
    if net.width != net.height or net.width % SIZE_STEP or net.channels != 3:
        raise UserError(
            f"{plan.name}: the input is {net.width}x{net.height}x{net.channels}: here networks are trained on colour "
            f"pictures brought to a square of a multiple of {SIZE_STEP}: change width, height and channels in [net]"
        )


def _check_classes(plan: Cfg, names: tuple[str, ...], file: str) -> None:
    count, head = count_classes(plan), plan.head
    if len(names) == count:
        return
    if isinstance(head, Region):
        wanted = f"classes={len(names)} and, in the layer before it, filters={head.num * (5 + len(names))}"
    elif isinstance(head, Detection):
        outputs = head.side**2 * (len(names) + 5 * head.num)
        wanted = f"classes={len(names)} and, in the layer before it, output={outputs}"
    else:
        wanted = f"filters={len(names)} in its last convolution"
    raise UserError(f"{_where(plan, head)} has {count} classes, but {file} names {len(names)}: set {wanted}")


def _where(plan: Cfg, layer: Layer) -> str:
    return f"{plan.name}, line {layer.line}: [{layer.type}]"


def _notes(plan: Cfg) -> list[str]:
    """What is done otherwise than Darknet's last version does it."""
    notes = []
    if plan.net.batch == 1:
        notes.append(
            f"{plan.name}: batch=1 is for testing a network: to train it put the batch of training, such as 64"
        )
    if any(step < 0 for step in plan.net.steps) and plan.net.policy == "steps":
        notes.append(
            f"{plan.name}: a negative number in steps counts from the start on, as it is meant; Darknet's last version "
            "leaves the rate as it is for ever"
        )
    if isinstance(plan.head, Softmax) and isinstance(plan.layers[-1], Cost):
        notes.append(f"{plan.name}: [cost] behind [softmax] is left out: Darknet adds the same gradient a second time")
    return notes


def _file_of(plan: Cfg, option: str) -> str:
    """The path of the file that the last layer's option names; "" where it names none."""
    return str(find_file(plan, option)) if getattr(plan.head, option, "") else ""


def _set_updates(c: ConfigDict, plan: Cfg) -> None:
    """How long and with which rates, batches, momentum and decay."""
    net = plan.net
    if not net.max_batches:
        raise UserError(f"{plan.name}: [net] has no max_batches: say there how many batches to train")
    if net.policy == "random":
        raise UserError(f"{plan.name}: policy=random draws another rate at every update: choose another in [net]")
    c.steps = net.max_batches
    c.accumulate = net.subdivisions
    c.batch_size = max(net.batch // net.subdivisions, 1) * net.subdivisions
    c.optimizer.learning_rate = net.learning_rate
    c.optimizer.momentum = net.momentum
    c.optimizer.weight_decay = net.decay
    if net.burn_in:
        c.optimizer.burn_in, c.optimizer.burn_in_power = net.burn_in, net.power
    match net.policy:
        case "steps":
            turns = [turn for turn in zip(net.steps, net.scales, strict=True) if turn[0] <= net.max_batches]
            c.optimizer.boundaries = tuple(max(step, 0) / net.max_batches for step, _ in turns)
            c.optimizer.factors = tuple(factor for _, factor in turns)
        case "poly":
            c.optimizer.power = net.power
        case "step":
            c.optimizer.decay_rate, c.optimizer.decay_steps = net.scale, net.step
        case "exp":
            c.optimizer.decay_rate = net.gamma
        case "sigmoid":
            c.optimizer.decay_rate, c.optimizer.decay_steps = net.gamma, net.step
    c.optimizer.schedule = SCHEDULES[net.policy]


SCHEDULES = {
    "constant": "constant",
    "steps": "steps",
    "poly": "polynomial",
    "step": "exponential",
    "exp": "exponential",
    "sigmoid": "sigmoid",
}


def _set_crop(c: ConfigDict, plan: Cfg) -> None:
    """How a classifier's pictures are cut out (darknet.md 11)."""
    net = plan.net
    if net.random:
        raise UserError(f"{plan.name}: [net] random=1 is done for detectors only: remove it from this classifier")
    c.augment.geometry, c.augment.crop = "rotate_crop", "darknet"
    c.augment.angle, c.augment.aspect = net.angle, net.aspect
    c.augment.min_crop, c.augment.max_crop = net.min_crop, net.max_crop


def _set_yolo_v1(c: ConfigDict, plan: Cfg, head: Detection) -> None:
    """How a YOLOv1's pictures are moved (darknet.md 9), and its loss (12)."""
    if head.random:
        raise UserError(f"{_where(plan, head)} random=1, random boxes at first, is not done here: remove it")
    c.augment.geometry, c.augment.jitter = "crop", head.jitter
    c.yolo_v1_loss.update({name: getattr(head, name) for name in (*SCALES, "forced")})


def _set_yolo_v2(c: ConfigDict, plan: Cfg, head: Region) -> None:
    """How a YOLOv2's pictures are moved (darknet.md 9), its sizes (10) and its loss (5)."""
    c.augment.geometry, c.augment.jitter = "place", head.jitter
    c.data.max_boxes = head.max
    c.evaluation.resize = plan.resize
    c.multi_scale = SIZES if head.random else ()
    c.loss.update({name: getattr(head, name) for name in (*SCALES, "bias_match")})
    c.loss.ignore_threshold = head.thresh
