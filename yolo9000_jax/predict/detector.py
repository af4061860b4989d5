"""A trained detector that takes pictures and gives boxes: what `load` and `load_darknet` return for one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import flax.linen as nn
import jax
import numpy as np

from yolo9000_jax.boxes.heads import RegionHead, YoloV1Head
from yolo9000_jax.boxes.nms import CANDIDATES, PaddedDetections
from yolo9000_jax.errors import UserError
from yolo9000_jax.predict.pictures import Picture, are_many
from yolo9000_jax.predict.predictor import Predictor
from yolo9000_jax.predict.result import Result
from yolo9000_jax.text import printable
from yolo9000_jax.wordtree.limits import HierarchicalThreshold, allowed_nodes, is_share, node_thresholds
from yolo9000_jax.wordtree.tree import Node

BATCH_SIZE = 8

Found = tuple[PaddedDetections, PaddedDetections | None]  # the detections, and those of going down the tree


class Detector(Predictor):
    """A detection network with everything needed to apply it to pictures.

    Args:
        head: how the model's output is read: heads.RegionHead (YOLOv2, YOLO9000) or heads.YoloV1Head.
        size_wh: of a region network multiples of 32.

    All others are those of `Predictor`; the tree is the head's.
    """

    def __init__(
        self,
        model: nn.Module,
        variables: Mapping[str, Any],
        classes: Sequence[str],
        head: RegionHead | YoloV1Head,
        size_wh: Sequence[int],
        resize: str = "letterbox",
        sampling: str = "darknet",
        *,
        synsets: Sequence[str | None] | None = None,
        notes: Sequence[str] = (),
    ):
        options: dict[str, Any] = {"tree": head.tree, "synsets": synsets, "notes": notes}
        super().__init__(model, variables, classes, size_wh, resize, sampling, **options)
        self.head = head

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a Sequence[str] too, but one picture
        self,
        picture: Picture,
        threshold: float = ...,
        nms: float = ...,
        hierarchical_threshold: HierarchicalThreshold = ...,
        *,
        allow: Sequence[Node] | None = ...,
        class_agnostic: bool = ...,
        max_detections: int | None = ...,
    ) -> Result: ...

    @overload
    def __call__(
        self,
        picture: Sequence[Picture],
        threshold: float = ...,
        nms: float = ...,
        hierarchical_threshold: HierarchicalThreshold = ...,
        *,
        allow: Sequence[Node] | None = ...,
        class_agnostic: bool = ...,
        max_detections: int | None = ...,
    ) -> list[Result]: ...

    def __call__(
        self,
        picture: Any,
        threshold: float = 0.25,
        nms: float = 0.45,
        hierarchical_threshold: HierarchicalThreshold = 0.5,
        *,
        allow: Sequence[Node] | None = None,
        class_agnostic: bool = False,
        max_detections: int | None = None,
    ) -> Result | list[Result]:
        """The Result for one picture, or a list of them for several.

        Args:
            picture: a path, an http(s) address, a Pillow picture, or an array (pictures.to_pixels); or a list of these,
                or a data set.
            threshold: only scores above it are returned.
            nms: of two boxes of one class that overlap by an IoU above it, only the better stays.
            hierarchical_threshold: with a tree, how sure a label must be; a lower one goes deeper. One number, or
                {node: number} for subtrees, such as {"canine": .8, "*": .5} (wordtree.limits.node_thresholds).
            allow: with a tree, the only labels that are possible, by number, synset or name, each with all below it:
                probabilities are those of the network once it is known that one of these is right.
            class_agnostic: of two boxes that overlap only the better stays, whatever their classes.
            max_detections: the most of a picture, those of the highest scores; None: all that the network gives.

        Raises:
            UserError: a picture cannot be read, a threshold or a node is none, or nothing is allowed.
        """
        options: dict[str, Any] = {"threshold": threshold, "nms": nms, "hierarchical_threshold": hierarchical_threshold}
        options |= {"allow": allow, "class_agnostic": class_agnostic, "max_detections": max_detections}
        if are_many(picture):
            return list(self.stream(picture, batch_size=max(1, min(BATCH_SIZE, len(picture))), **options))
        return next(self.stream([picture], batch_size=1, **options))

    def stream(
        self,
        pictures: Iterable[Picture],
        *,
        threshold: float = 0.25,
        nms: float = 0.45,
        hierarchical_threshold: HierarchicalThreshold = 0.5,
        allow: Sequence[Node] | None = None,
        class_agnostic: bool = False,
        max_detections: int | None = None,
        nodes: Sequence[Node] | np.ndarray | None = None,
        also_top_down: bool = False,
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[Result]:
        """Detections of many pictures, in order, a batch at a time; the next ones are read while the network works.

        Args:
            pictures: any iterable of what a call takes, of records, or of frames; some are taken from it ahead.
            threshold, nms, hierarchical_threshold, allow, class_agnostic, max_detections: as for a call.
            nodes: with a tree, the only classes to look for, by number, synset or name; their scores are then
                objectness times the node's absolute probability. Without a tree it does nothing.
            also_top_down: with `nodes`, each Result also has `top_down`, what a call without them gives; the network
                runs once for both.
            batch_size: pictures that a device works on at a time.

        Raises:
            UserError: a picture cannot be read: at its place, after the results of those before it; or as a call.
        """
        if max_detections is not None and max_detections < 1:
            raise UserError(f"max_detections {max_detections}: it must be 1 or more")
        numbers = None if nodes is None or self.tree is None else self.tree.find_all(nodes)
        program = self.program(
            threshold=threshold,
            nms=nms,
            hierarchical_threshold=hierarchical_threshold,
            allow=allow,
            class_agnostic=class_agnostic,
            nodes=numbers,
            also_top_down=also_top_down,
        )
        size_wh, resize = self.size_wh, self._resize

        def result(image: np.ndarray, found: PaddedDetections, labels_of: np.ndarray | None = None) -> Result:
            total = int(found.valid.sum())
            count = total if max_detections is None else min(total, max_detections)  # the best come first
            boxes_cxcywh, scores, labels = (
                np.asarray(rows[:count]) for rows in (found.boxes_cxcywh, found.scores, found.labels)
            )
            steps = None if found.path_probabilities is None else np.asarray(found.path_probabilities[:count])
            height, width = image.shape[:2]
            boxes_xyxy = resize.to_picture(boxes_cxcywh, (width, height), size_wh, clip=True)
            labels = labels if labels_of is None else labels_of[labels]
            return Result(image, boxes_xyxy, scores, labels, self.classes, self.tree, steps, left_out=total - count)

        for image, (found, top_down) in self._run(pictures, program.start, batch_size, finish=program.finish):
            answer = result(image, found, numbers)
            yield answer if top_down is None else replace(answer, top_down=result(image, top_down))

    def program(
        self,
        *,
        threshold: float = 0.25,
        nms: float = 0.45,
        hierarchical_threshold: HierarchicalThreshold = 0.5,
        allow: Sequence[Node] | None = None,
        class_agnostic: bool = False,
        nodes: np.ndarray | None = None,
        also_top_down: bool = False,
    ) -> "Program":
        """What `stream` runs: from inputs (`to_inputs`) to detections.

        Arguments as for `stream`, `nodes` as numbers. It gives a pair, the second of which is None unless
        `also_top_down` asks for it; labels are places in `nodes` where these are given.
        """
        for name, value in {"threshold": threshold, "nms": nms}.items():
            if not is_share(value):
                raise UserError(f"{name} {printable(str(value))}: it must be from 0 to 1")
        if allow is not None and self.tree is None:
            raise UserError("allow: this network's classes form no tree; leave it out")
        allowed = None if allow is None or self.tree is None else allowed_nodes(allow, self.tree)
        read = _Read(self.head, class_agnostic, also_top_down, allowed)
        thresholds = np.float32(threshold), np.float32(nms), node_thresholds(hierarchical_threshold, self.tree)
        return Program(self, read, thresholds, nodes)


@dataclass(frozen=True)
class _Read:
    """Reads the output of a network with a head; with nodes of a tree perhaps in both ways."""

    head: RegionHead | YoloV1Head
    class_agnostic: bool
    also_top_down: bool
    allowed: tuple[int, ...] | None
    candidates: int = CANDIDATES

    def __call__(self, raw: jax.Array, thresholds: Sequence[jax.Array], nodes: jax.Array | None) -> Found:
        options: dict[str, Any] = {"class_agnostic": self.class_agnostic, "candidates": self.candidates}
        options["allowed"] = self.allowed
        found = self.head.detect(raw, *thresholds, nodes=nodes, **options)
        if nodes is None or not self.also_top_down:
            return found, None
        return found, self.head.detect(raw, *thresholds, **options)


class Program:
    """A detector's network and how its output is read, compiled: from inputs to the detections that they give.

    Compiled programs have arrays of fixed size, so there is room for so many candidates of a picture; where a picture
    has more, the output is read again with room for all, and from then on there is as much.
    """

    def __init__(self, detector: Detector, read: _Read, thresholds: Sequence[Any], nodes: np.ndarray | None):
        self._detector, self._read, self._arguments = detector, read, (thresholds, nodes)

    def __call__(self, inputs: np.ndarray | jax.Array) -> Found:
        """Detections of inputs float32 [B, height, width, 3], as NumPy arrays."""
        return self.finish(self.start(inputs))

    def start(self, inputs: np.ndarray | jax.Array) -> tuple[jax.Array, Found]:
        """What `finish` takes; returns before the device has done the work."""
        output = self._detector.forward(inputs)
        return output, self._detector.read_output(self._read, output, *self._arguments)

    def finish(self, started: tuple[jax.Array, Found]) -> Found:
        """Waits for what `start` began."""
        output, given = started
        found: Found = jax.device_get(given)
        while (pairs := max(_beyond(each) for each in found if each is not None)) > 0:
            room = max(self._read.candidates, 1 << (pairs - 1).bit_length())
            self._read = replace(self._read, candidates=room)
            found = jax.device_get(self._detector.read_output(self._read, output, *self._arguments))
        return found


def _beyond(found: PaddedDetections) -> int:
    """The most pairs (box, class) of a picture, where there was no room for all of them; else 0."""
    most = int(np.max(found.pairs))
    return most if most > found.scores.shape[1] else 0
