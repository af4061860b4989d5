"""What an exported file does and says: one function of JAX's for all formats, and the facts that travel with it.

images, sizes_wh -> boxes_xyxy, scores, labels        of a detector
images -> scores                                      of a classifier
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax import __version__
from yolo9000_jax.boxes.heads import RegionHead
from yolo9000_jax.boxes.nms import CANDIDATES, PaddedDetections
from yolo9000_jax.errors import UserError
from yolo9000_jax.images.resizing import Resize, Sampling, Way
from yolo9000_jax.predict.classifier import Classifier
from yolo9000_jax.predict.detector import Detector
from yolo9000_jax.wordtree.limits import DEFAULT, HierarchicalThreshold, node_thresholds
from yolo9000_jax.wordtree.softmax import class_probabilities

PAIRS_EACH = 4
FORMAT = 1  # of the facts
FACTS = "network.json"  # their file, where a format holds files


@dataclass(frozen=True)
class Reading:
    """How an exported detector reads its network's output; settings as of a `Detector`'s call.

    max_detections: rows of its outputs, CANDIDATES at most; the best of a picture. Of the pairs of a box and a class,
        those of the PAIRS_EACH times as many highest scores enter the suppression, CANDIDATES at most: more take time.
        With class_agnostic all boxes enter it, and the best CANDIDATES pairs are left.
    """

    threshold: float = 0.25
    nms: float = 0.45
    hierarchical_threshold: HierarchicalThreshold = DEFAULT
    class_agnostic: bool = False
    max_detections: int = 100

    def __post_init__(self) -> None:
        for name in ("threshold", "nms"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} {getattr(self, name):g}: it must be from 0 to 1")
        if not 1 <= self.max_detections <= CANDIDATES:
            raise UserError(f"max_detections {self.max_detections}: it must be from 1 to {CANDIDATES}")


@dataclass(frozen=True)
class Program:
    """A trained network with all that is done to its output, as a function of JAX's.

    function: from the inputs, in order, to the outputs, in order; the first axis of each is the batch's.
    inputs: name -> shape of one picture's.
    outputs: names.
    network: what the network is and how it was read, for JSON.
    """

    function: Callable[..., tuple[jax.Array, ...]]
    inputs: dict[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    network: dict[str, Any]

    @property
    def facts(self) -> str:
        """The text of the JSON that travels in the file."""
        return json.dumps({"format": FORMAT, "inputs": list(self.inputs), "outputs": self.outputs} | self.network)

    def shapes(self, batch: Any) -> list[jax.ShapeDtypeStruct]:
        """The inputs' shapes for so many pictures: a number, or a symbol of jax.export."""
        return [jax.ShapeDtypeStruct((batch, *shape), jnp.float32) for shape in self.inputs.values()]


def make_program(predictor: Detector | Classifier, reading: Reading) -> Program:
    """The program of a detector or classifier, at the size and with the resize that it is set to.

    Args:
        predictor: the network.
        reading: how its output is read, of a detector; a classifier gives the probabilities of all classes.

    Raises:
        UserError: the network takes no pictures of this size, or its tree has no node of a hierarchical_threshold.
    """
    width, height = predictor.size_wh
    images: dict[str, tuple[int, ...]] = {"images": (height, width, 3)}
    facts = _facts(predictor)
    variables = jax.tree.map(np.asarray, predictor.variables)
    forward = jax.tree_util.Partial(predictor.model.apply, variables)
    if isinstance(predictor, Classifier):

        def classify(images: jax.Array) -> tuple[jax.Array]:
            output = forward(images)
            return (class_probabilities(output.reshape(-1, len(predictor.classes)), predictor.tree),)

        return Program(classify, images, ("scores",), facts)
    facts |= {"reading": vars(reading)}
    if isinstance(predictor.head, RegionHead):
        facts["anchors_cells"] = predictor.head.anchors_cells
    head = predictor.head
    resize = Resize(cast(Way, predictor.resize), cast(Sampling, predictor.sampling))
    options: dict[str, Any] = {
        "class_agnostic": reading.class_agnostic,
        "candidates": CANDIDATES if reading.class_agnostic else min(CANDIDATES, PAIRS_EACH * reading.max_detections),
    }
    sure = node_thresholds(reading.hierarchical_threshold, predictor.tree)
    thresholds = (reading.threshold, reading.nms, sure)

    def detect(images: jax.Array, sizes_wh: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        found: PaddedDetections = head.detect(forward(images), *thresholds, **options)
        boxes_xyxy = to_picture(found.boxes_cxcywh, found.valid, sizes_wh, (width, height), resize)
        boxes_xyxy, scores, labels = (
            rows[:, : reading.max_detections] for rows in (boxes_xyxy, found.scores, found.labels)
        )
        return boxes_xyxy, scores, labels

    return Program(detect, images | {"sizes_wh": (2,)}, ("boxes_xyxy", "scores", "labels"), facts)


def _facts(predictor: Detector | Classifier) -> dict[str, Any]:
    tree = predictor.tree
    return {
        "made_by": f"yolo9000_jax {__version__}, jax {jax.__version__}",
        "task": "classification" if isinstance(predictor, Classifier) else "detection",
        "classes": predictor.classes,
        "synsets": predictor.synsets,
        "tree": None if tree is None else {"synsets": tree.synsets, "parents": tree.parents.tolist()},
        "size_wh": predictor.size_wh,
        "resize": predictor.resize,
        "sampling": predictor.sampling,
    }


def to_picture(
    boxes_cxcywh: jax.Array, valid: jax.Array, sizes_wh: jax.Array, net_wh: tuple[int, int], resize: Resize
) -> jax.Array:
    """What `Resize.to_picture` does, for a batch of pictures whose sizes JAX is tracing.

    Args:
        boxes_cxcywh: [B, K, 4], fractions of the network's input.
        valid: [B, K] bool, which rows hold a box; the others become zeros.
        sizes_wh: [B, 2] width and height of each picture in pixels.
        net_wh: width and height of the network's input in pixels.
        resize: how the pictures came to that size; no crop.

    Returns:
        boxes_xyxy [B, K, 4], pixels of the picture, cut at its border.
    """
    net = np.array(net_wh, np.float32)
    if resize.way == "stretch":
        inner = jnp.broadcast_to(net, sizes_wh.shape)
    else:
        ratios = net / sizes_wh
        tight = ratios[:, :1] < ratios[:, 1:]  # the width is what fits exactly
        inner = sizes_wh * jnp.min(ratios, axis=1, keepdims=True)
        if resize.sampling == "darknet":  # a whole number of pixels
            # Plus a half, so that a quotient that is whole does not depend on how division rounds.
            by_width, by_height = ((sizes_wh * net[axis] + 0.5) / sizes_wh[:, axis : axis + 1] for axis in (0, 1))
            inner = jnp.maximum(jnp.floor(jnp.where(tight, by_width, by_height)), 1)
    border = (net - inner) / 2
    centre = (boxes_cxcywh[..., :2] * net - border[:, None]) / inner[:, None]
    half = boxes_cxcywh[..., 2:] * net / inner[:, None] / 2
    boxes_xyxy = jnp.concatenate([centre - half, centre + half], axis=-1)
    limits = jnp.concatenate([sizes_wh, sizes_wh], axis=-1)[:, None]
    return jnp.where(valid[..., None], jnp.clip(boxes_xyxy * limits, 0, limits), 0)
