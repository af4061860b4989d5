"""What all tasks share."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.config.keys import detection
from yolo9000_jax.darknet.building import layer_rates
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.shared import shared_pictures
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.data.splits import NoSplitError, Split
from yolo9000_jax.data.survey import in_short
from yolo9000_jax.data.table import Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation import Evaluation
from yolo9000_jax.evaluation.detection import EXAMPLES
from yolo9000_jax.files import shown
from yolo9000_jax.images import colour
from yolo9000_jax.logs import logger
from yolo9000_jax.models.network import ARCHITECTURE, Network
from yolo9000_jax.models.yolo_v2 import STRIDE
from yolo9000_jax.workdir.facts import Facts

AXIS = "batch"  # the mapped axis of a training step
SHOWN = 16  # pictures of the first batch


class Ratio(NamedTuple):
    """A metric that is a mean over what some batches, or parts of one, have more of than others, such as boxes.

    Of several batches, each of the two is averaged by itself: `mean` is then that over all of them together.
    """

    total: Any
    count: Any

    @property
    def mean(self) -> float:
        """NaN where there is nothing to average."""
        return float(self.total / self.count) if self.count else math.nan


class Preview(NamedTuple):
    """A picture of a batch: uint8 [S, S, 3], its boxes [N, 4] as fractions of it with labels [N] and names [N], and
    what else is said of it."""

    image: np.ndarray
    boxes_cxcywh: np.ndarray
    labels: np.ndarray
    names: Sequence[str]
    caption: str = ""


class Task:
    """What is trained: a network, its loss, its input, and the data it is evaluated on. Made of a complete config.

    config: what was asked for; never changed.
    network: what the network is, settled from the config and the data, or as it was settled when the run began.
    model: its Flax module. max_boxes: boxes a picture in a batch. dataset, evaluation_set: opened and checked.

    A subclass has the methods that raise NotImplementedError here.
    """

    config: Any
    network: Network
    model: nn.Module
    dataset: Dataset
    evaluation_set: Dataset
    max_boxes: int = 0

    @property
    def pictures(self) -> int:
        """How many pictures make an epoch."""
        return len(self.dataset)

    @property
    def layer_rates(self) -> Mapping[str, float]:
        """The factors of the learning rates of single layers, by the names that they have in the parameters."""
        return layer_rates(self.network)

    def fingerprints(self) -> dict[str, str]:
        """What tells the data sets of the task from others: {key of the config: fingerprint}, class names included."""
        return {"data": self.dataset.fingerprint(), "evaluation": self.evaluation_set.fingerprint()}

    def in_short(self) -> list[str]:
        """A few lines on the data that a person should read before a long training."""
        return in_short(self.dataset, self.evaluation_set, self.config.image_size, self.network.anchors_cells)

    def init(self, seed: int) -> dict[str, Any]:
        """Fresh variables, as NumPy arrays."""
        side = self.config.image_size
        return jax.device_get(jax.jit(self.model.init)(jax.random.key(seed), jnp.zeros((1, side, side, 3))))

    def sizes(self) -> list[int]:
        """Input sizes of the run, the largest first."""
        return sorted(set(self.config.multi_scale or (self.config.image_size,)), reverse=True)

    def batches(self, start: int, stop: int, size: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """This process's batches of the steps from `start` to before `stop`, at `size`; 0: each at its own."""
        raise NotImplementedError

    def at_size(self, size: int) -> Any:
        """The config as it would be with inputs of this one size; 0: as it is."""
        if not size:
            return self.config
        config = self.config.copy_and_resolve_references()
        config.image_size, config.multi_scale = size, ()
        return config

    def records(self, step: int) -> list[Record]:
        """The records in the batch of a step."""
        raise NotImplementedError

    def blank_batch(self, size: int) -> dict[str, np.ndarray]:
        """A batch of this process's shape, all zeros: to compile with."""
        raise NotImplementedError

    def loss(
        self, params: Any, batch_stats: Any, batch: Any, step: jax.Array, part: jax.Array | int = 0
    ) -> tuple[jax.Array, Any]:
        """The mean loss of a batch, or of that part of it: (scalar, (metrics, batch_stats)).

        A metric is a mean over the pictures, or a Ratio.
        """
        raise NotImplementedError

    def evaluate(self, model: Any, examples: int = EXAMPLES) -> Evaluation:
        """The evaluation of a Detector, or Classifier, on the evaluation set.

        Args:
            model: made of the task's network.
            examples: how many pictures it keeps for a report.
        """
        raise NotImplementedError

    def preview(self, batch: dict[str, np.ndarray]) -> list["Preview"]:
        """The first pictures of a batch as the network sees them, with what it is told of each."""
        raise NotImplementedError

    def inputs(self, batch: Any) -> jax.Array:
        """The network's input [B, S, S, 3] in 0..1, colours changed."""
        return colour.distort(batch["images"].astype(jnp.float32) / 255, *jnp.moveaxis(batch["colour"], -1, 0))

    def apply(
        self, params: Any, batch_stats: Any, batch: Any, step: jax.Array, part: jax.Array | int = 0
    ) -> tuple[jax.Array, Any]:
        """The network on a training batch, or on that part of it: (its output, the new running statistics)."""
        key = jax.random.key(self.config.seed)
        parts = (part,) if self.config.accumulate > 1 else ()  # without any the key is that of earlier versions
        for number in (step, jax.lax.axis_index(AXIS), *parts):
            key = jax.random.fold_in(key, number)
        output, mutated = self.model.apply(
            {"params": params, "batch_stats": batch_stats},
            self.inputs(batch),
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": key},
        )
        return output, mutated.get("batch_stats", {})

    def batch_statistics(self, params: Any, batch_stats: Any, batch: Any) -> Any:
        """Batch norm's statistics of one training batch by itself, in the structure of `batch_stats`."""
        norm = replace(self.model.norm, momentum=0.0)  # keeps nothing of what was before
        _, mutated = self.model.clone(norm=norm).apply(
            {"params": params, "batch_stats": batch_stats},
            self.inputs(batch),
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(self.config.seed)},
        )
        return mutated["batch_stats"]

    def labelled_records(self, step: int) -> list[Record]:
        """Those of the records in the batch of a step that must have one label."""
        return []

    def find_unreadable(self, step: int) -> str | None:
        """What is wrong with the pictures of a step's batch, or their labels: the first line of complaint, or None."""
        from yolo9000_jax.data.pipeline import label_complaint

        try:
            for record in self.records(step):
                record.read()
            return next(filter(None, map(label_complaint, self.labelled_records(step))), None)
        except UserError as error:
            return str(error)

    def pixels(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        """The first pictures of a batch as the network sees them: uint8 [N, S, S, 3]."""
        shown = {key: batch[key][:SHOWN] for key in ("images", "colour")}
        return np.rint(255 * np.asarray(jax.jit(self.inputs)(shown))).astype(np.uint8)


def describe(config: Any, **settled: Any) -> Network:
    """The network that a config asks for; `settled` are the fields of Network that it leaves to the data."""
    evaluation = config.evaluation
    return Network(
        task="classification" if config.task == "classification" else "detection",
        image_size=evaluation.image_size or config.image_size,
        resize="crop" if config.task == "classification" else evaluation.resize,
        sampling=evaluation.sampling,
        hierarchy_rule=evaluation.hierarchy_rule,
        **{name: config.model[name] for name in ARCHITECTURE},
        **settled,
    )


def training_options(config: Any) -> dict[str, Any]:
    """What `build_model` takes besides for training: the axis of shared batch statistics, and rematerialisation."""
    model = config.model
    shared = {"axis_name": AXIS, "axis_group": model.sync_batch_norm_group} if model.sync_batch_norm else {}
    return shared | {"remat": model.rematerialise}


def blank_pictures(config: Any, size: int) -> dict[str, np.ndarray]:
    """The pictures of a batch of this process's shape, all zeros."""
    share = config.batch_size // jax.process_count()
    return {"images": np.zeros((share, size, size, 3), np.uint8), "colour": np.zeros((share, 3), np.float32)}


def check_sizes(config: Any, stride: int = STRIDE) -> None:
    """Raises UserError unless every input size is a multiple of the network's stride, and one that it can work at."""
    evaluation = (config.evaluation.image_size,) if config.evaluation.image_size else ()
    sizes = {config.image_size, *config.multi_scale, *evaluation}
    for size in sorted(sizes):
        if size < stride or size % stride:
            raise UserError(f"image_size {size}: an input size must be a multiple of {stride}")
    if config.task != "classification" and config.model.architecture == "yolo_v1" and len(sizes) > 1:
        listed = ", ".join(map(str, sorted(sizes)))
        raise UserError(
            f"YOLOv1 works at one input size, not at {listed}: leave multi_scale and evaluation.image_size empty"
        )


def open_set(key: str, source: str, split: str, classes: Sequence[str], learnt: bool = False) -> Dataset:
    """The data set that the config's `key` names, `learnt` as of `open_source`; what is in it is logged."""
    if not source:
        raise UserError(f"{key} is empty: say where the data are, e.g. --config.{key}=voc:DIR")
    try:
        dataset = open_source(source, split, classes or None, learnt=learnt)
    except NoSplitError as error:
        if key != "evaluation.source" or "{split}" in source:
            raise
        parts = "--config.data.split='train[:80%]' --config.evaluation.split='train[80%:]'"
        raise NoSplitError(f"{error}; where there is none to judge on, hold a part out: {parts}") from None
    logger.info(f"{source} {split}: {len(dataset)} pictures, {len(dataset.classes)} classes")
    for note in dataset.notes:
        logger.info(f"  {note}")
    return dataset


def check_judged(config: Any, judged: Dataset, *trained: Dataset) -> None:
    """Raises UserError where pictures of the evaluation set are also trained on, unless the config says they may be.

    It says so with evaluation.may_share_pictures, or by naming the training set, source and split, for the evaluation
    as well. A set without anything to find gives no number that could be too good.
    """
    evaluation = config.evaluation
    if evaluation.may_share_pictures or (not judged.lazy and not len(judged.ground_truth().labels)):
        return
    if _names_training_set(config):
        logger.warning(
            "evaluated on the pictures that it is trained on, as evaluation.split says: expect less of others"
        )
        return
    for dataset in trained:
        if found := shared_pictures(dataset, judged):
            count, (place, judged_place) = len(found), found[0]
            name, other = (record.image or record.name for record in (judged[judged_place], dataset[place]))
            where = dataset.split if dataset.spec == judged.spec else f"{dataset.spec} {dataset.split}"
            also = "" if name == other else f", the same as {shown(other)}"
            raise UserError(
                f"{judged.spec} {judged.split}: {count} of the {len(judged)} pictures to be judged on are also trained "
                f"on, in {where} (first: {shown(name)}{also}): "
                f"{_how_to_part(dataset, judged)}, or allow it: --config.evaluation.may_share_pictures=True"
            )


def _names_training_set(config: Any) -> bool:
    """Whether the evaluation is to be on the training set in so many words, not by what a key is by default."""
    data, evaluation = config.data, config.evaluation
    same = evaluation.source in ("", data.source) and evaluation.split == data.split
    return same and evaluation.split != detection().evaluation.split


def _how_to_part(trained: Dataset, judged: Dataset) -> str:
    if trained.spec != judged.spec:
        return "take them out of one of the two"
    if "," in trained.split + judged.split:  # a split for each of several sources
        return "hold a part out of each, such as [:80%] and [80%:]"
    one, other = Split.parse(trained.split), Split.parse(judged.split)
    parts = " ".join(
        f"--config.{key}.split='{one.name or 'all'}[{part}]'"
        for key, part in (("data", ":80%"), ("evaluation", "80%:"))
    )
    if one.is_slice and other.is_slice and (one.counts_pictures or other.counts_pictures):
        count = other.text if other.counts_pictures else one.text
        return f"{count!r} counts pictures, a share has a %: give {parts}"
    return f"hold a part out, {parts}"


def check_classes(facts: Facts, dataset: Dataset, nodes: np.ndarray | None = None) -> None:
    """Raises UserError where the data set's classes are not those that the network has learnt.

    Args:
        facts: of the run, which began with these classes.
        dataset: as it is now.
        nodes: with a tree, the node of each class, which then needs no comparison of names.
    """
    if nodes is not None:
        return
    learnt = facts.network.classes
    if dataset.classes == learnt:
        return
    odd = next(((old, new) for old, new in zip(learnt, dataset.classes, strict=False) if old != new), None)
    what = f"{odd[0]!r} was at the place of {odd[1]!r}" if odd else f"{len(learnt)} then, {len(dataset.classes)} now"
    raise UserError(
        f"{dataset.spec}: its classes are no longer those that the network has learnt ({what}): labels would mean "
        "other classes; give the data the old names in the old order, or train in another workdir"
    )
