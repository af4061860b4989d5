"""How the output of a detection network is read: one head for YOLOv2 and YOLO9000, one for YOLOv1.

A head is immutable and hashable, so that a compiled function can take it as a static argument. Each has

    tree: the WordTree of its classes, or None
    detect(raw, score_threshold, iou_threshold, hierarchical_threshold, *, nodes, allowed, class_agnostic, candidates)
        -> nms.PaddedDetections

and `Detector` needs nothing else of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from yolo9000_jax.boxes import decode
from yolo9000_jax.boxes.decode import Threshold
from yolo9000_jax.boxes.nms import CANDIDATES, PaddedDetections
from yolo9000_jax.boxes.tree import detect_tree
from yolo9000_jax.shapes import Array, check_shapes
from yolo9000_jax.wordtree.tree import Node, WordTree


@dataclass(frozen=True)
class RegionHead:
    """Reads the raw grid [B, S, S', A, 5 + C] of YOLOv2 and YOLO9000 (darknet.md 5 and 7).

    Attributes:
        anchors_cells: priors [A, 2] in grid cells.
        class_activation, background: as for decode.decode; unused with a tree.
        location: as for decode.decode.
        tree: WordTree of the C classes (YOLO9000): a box gets the deepest node that is sure enough, and its score is
            the objectness (darknet.md 7.3).
        hierarchy_rule: what "sure enough" is with a tree; see wordtree.softmax.predict_top_down.
    """

    anchors_cells: tuple[tuple[float, float], ...]
    class_activation: str = "softmax"
    background: bool = False
    tree: WordTree | None = None
    hierarchy_rule: str = "darknet"
    location: str = "direct"

    def __post_init__(self) -> None:
        check_shapes("RegionHead", anchors_cells=(self.anchors_cells, "A 2"))
        anchors = np.asarray(self.anchors_cells, np.float32)
        object.__setattr__(self, "anchors_cells", tuple(map(tuple, anchors.tolist())))

    def detect(
        self,
        raw: Array,
        score_threshold: Threshold,
        iou_threshold: Threshold,
        hierarchical_threshold: float | Array = 0.5,
        *,
        nodes: Array | Sequence[Node] | None = None,
        allowed: tuple[int, ...] | None = None,
        class_agnostic: bool = False,
        candidates: int = CANDIDATES,
    ) -> PaddedDetections:
        """The detections; `nodes` and `allowed` are those of tree.detect_tree, and do nothing without one."""
        if self.tree is None:
            return decode.detect(
                raw,
                self.anchors_cells,
                score_threshold,
                iou_threshold,
                class_activation=self.class_activation,
                background=self.background,
                location=self.location,
                suppression="score" if class_agnostic else "class",
                candidates=candidates,
            )
        return detect_tree(
            raw,
            self.anchors_cells,
            self.tree,
            score_threshold,
            iou_threshold,
            hierarchical_threshold,
            nodes=nodes,
            allowed=allowed,
            rule=self.hierarchy_rule,
            location=self.location,
            class_agnostic=class_agnostic,
            candidates=candidates,
        )


@dataclass(frozen=True)
class YoloV1Head:
    """Reads the vector [B, side * side * (C + 5 * boxes_per_cell)] of YOLOv1 (darknet.md 12).

    Attributes:
        side: rows and columns of the grid.
        boxes_per_cell: boxes that each cell proposes for its one class.
        num_classes: C.
        sqrt, softmax: as for decode.decode_yolo_v1.
    """

    side: int
    boxes_per_cell: int
    num_classes: int
    sqrt: bool = True
    softmax: bool = False
    tree: ClassVar[None] = None

    def detect(
        self,
        raw: Array,
        score_threshold: Threshold,
        iou_threshold: Threshold,
        hierarchical_threshold: float | Array = 0.5,
        *,
        nodes: Array | Sequence[Node] | None = None,
        allowed: tuple[int, ...] | None = None,
        class_agnostic: bool = False,
        candidates: int = CANDIDATES,
    ) -> PaddedDetections:
        """The detections. The classes form no tree: `hierarchical_threshold`, `nodes` and `allowed` do nothing."""
        decoded = decode.decode_yolo_v1(raw, self.side, self.boxes_per_cell, self.num_classes, self.sqrt, self.softmax)
        options: dict[str, Any] = {"class_agnostic": class_agnostic, "candidates": candidates}
        return decode.detect_yolo_v1(decoded, score_threshold, iou_threshold, **options)
