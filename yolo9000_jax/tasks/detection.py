"""Detection: YOLOv2, or YOLOv1, on pictures with boxes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.boxes.heads import YoloV1Head
from yolo9000_jax.boxes.priors import hand_picked_anchors, kmeans_priors, to_cells
from yolo9000_jax.darknet.building import build_head, build_model, stride_of
from yolo9000_jax.data.counts import check_boxes, fullest, left_out
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.table import Record
from yolo9000_jax.evaluation import Evaluation, evaluate
from yolo9000_jax.evaluation.detection import EXAMPLES
from yolo9000_jax.logs import logger
from yolo9000_jax.losses.region import RegionLoss, region_loss
from yolo9000_jax.losses.yolo_v1 import yolo_v1_loss
from yolo9000_jax.models.network import Network
from yolo9000_jax.tasks.task import (
    Preview,
    Ratio,
    Task,
    blank_pictures,
    check_classes,
    check_judged,
    check_sizes,
    describe,
    open_set,
    training_options,
)
from yolo9000_jax.tasks.trees import by_number, nodes_of, open_tree
from yolo9000_jax.wordtree.tree import WordTree
from yolo9000_jax.workdir.facts import Facts


class Detection(Task):
    """YOLOv2 or YOLOv1 on a detection data set; YOLOv2 with a tree, on its nodes.

    Args:
        config: a complete one.
        facts: of the run that this carries on, whose network and boxes a picture it keeps; None: they are settled now.
    """

    def __init__(self, config: Any, facts: Facts | None = None):
        check_sizes(config, stride_of(config.model.architecture, config.model.cfg))
        self.config = config
        self.dataset = open_set("data.source", config.data.source, config.data.split, config.data.classes)
        check_boxes(self.dataset, config.data.include_difficult)
        more = self._more_sets()
        tree = facts.network.tree if facts else open_tree(config.model.tree, self.dataset, *more)
        self.dataset = by_number(self.dataset, tree, config)
        # Labels of the batches are the data set's; these are the network's.
        self.nodes = np.arange(len(self.dataset.classes)) if tree is None else nodes_of(self.dataset, tree)
        if facts:
            check_classes(facts, self.dataset, None if tree is None else self.nodes)
        classes = config.evaluation.classes or (() if tree else self.dataset.classes)
        source = config.evaluation.source or config.data.source
        learnt = not config.evaluation.classes
        self.evaluation_set = open_set("evaluation.source", source, config.evaluation.split, classes, learnt)
        self.evaluation_set = by_number(self.evaluation_set, tree, config)
        check_judged(config, self.evaluation_set, self.dataset, *more)
        self.network = self._settle(tree, facts)
        self.max_boxes = (facts.run.max_boxes if facts and facts.run else 0) or self._settle_boxes()
        self.model = build_model(self.network, head_init=config.model.head_init, **training_options(config))
        self.head = build_head(self.network)

    def _more_sets(self) -> list[Dataset]:
        """The other data sets whose classes the network learns."""
        return []

    def _settle(self, tree: WordTree | None, facts: Facts | None) -> Network:
        settled: dict[str, Any] = {"classes": self.dataset.classes}
        if tree is not None:
            boxed = tuple(int(node) for node in self.nodes)
            settled = {"classes": tree.names, "synsets": tree.synsets, "tree": tree, "nodes_with_boxes": boxed}
        elif any(self.dataset.synsets):
            settled["synsets"] = self.dataset.synsets
        network = describe(self.config, **settled)
        if network.architecture != "yolo_v2":  # whose priors are none, or in the cfg
            return network
        anchors = facts.network.anchors_cells if facts else tuple(map(tuple, self.config.model.anchors_cells))
        return replace(network, anchors_cells=anchors or self._priors())

    def _settle_boxes(self) -> int:
        boxes = self.config.data.max_boxes or fullest(self.dataset)
        left_out(self.dataset, boxes, self.config.data.include_difficult)
        return boxes

    def _priors(self) -> tuple[tuple[float, float], ...]:
        """The priors that the config asks for, in cells."""
        if self.config.model.priors == "hand_picked":
            fractions = hand_picked_anchors()
        else:
            shapes = self.dataset.box_shapes(self.config.data.include_difficult)
            priors = kmeans_priors(shapes, self.config.model.num_anchors, seed=self.config.seed)
            logger.info(f"priors from k-means: average IoU {priors.average_iou:.3f}")
            fractions = priors.anchors
        cells = to_cells(fractions, self.config.image_size)
        anchors = tuple((round(float(w), 3), round(float(h), 3)) for w, h in cells)
        logger.info("priors, in cells: " + " ".join(f"{w:.2f}x{h:.2f}" for w, h in anchors))
        return anchors

    def batches(self, start: int, stop: int, size: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """This process's batches of the steps from `start` to before `stop`; see data.pipeline.detection_batches."""
        from yolo9000_jax.data.pipeline import detection_batches

        place = (jax.process_index(), jax.process_count())
        return detection_batches(self.dataset, self.at_size(size), start, stop, self.max_boxes, *place)

    def records(self, step: int) -> list[Record]:
        """The records in the batch of a step."""
        from yolo9000_jax.data.pipeline import batch_records

        return [self.dataset[index] for index in batch_records(self.dataset, self.config, step)]

    def blank_batch(self, size: int) -> dict[str, np.ndarray]:
        """A batch of this process's shape, all zeros: to compile with."""
        pictures, boxes = blank_pictures(self.config, size), self.max_boxes
        share = len(pictures["images"])
        return pictures | {
            "boxes_cxcywh": np.zeros((share, boxes, 4), np.float32),
            "labels": np.zeros((share, boxes), np.int32),
            "mask": np.zeros((share, boxes), bool),
        }

    def loss(
        self, params: Any, batch_stats: Any, batch: Any, step: jax.Array, part: jax.Array | int = 0
    ) -> tuple[jax.Array, Any]:
        """As of every task."""
        output, batch_stats = self.apply(params, batch_stats, batch, step, part)
        loss_of = self._yolo_v1_loss if isinstance(self.head, YoloV1Head) else self._region_loss
        loss = loss_of(self.head, output, batch, step)
        metrics = {
            "loss": loss.total,
            "loss_xy": loss.xy,
            "loss_wh": loss.wh,
            "loss_object": loss.objectness,
            "loss_class": loss.classes,
            "average_iou": Ratio(loss.avg_iou * loss.count, 1.0 * loss.count),
            "responsible_recall50": Ratio(loss.recall50 * loss.count, 1.0 * loss.count),
        }
        return loss.total, (metrics, batch_stats)

    def _region_loss(self, head: Any, raw: jax.Array, batch: Any, step: jax.Array) -> RegionLoss:
        return region_loss(
            raw,
            batch["boxes_cxcywh"],
            jnp.asarray(self.nodes)[batch["labels"]],
            batch["mask"],
            jnp.asarray(head.anchors_cells, jnp.float32),
            seen=(step + 1) * self.config.batch_size,
            tree=head.tree,
            image_labels=self.image_labels(batch),
            location=head.location,
            class_activation=head.class_activation,
            background=head.background,
            **self.config.loss.to_dict(),
        )

    def _yolo_v1_loss(self, head: Any, vector: jax.Array, batch: Any, step: jax.Array) -> RegionLoss:
        return yolo_v1_loss(
            vector,
            batch["boxes_cxcywh"],
            batch["labels"],
            batch["mask"],
            side=head.side,
            boxes_per_cell=head.boxes_per_cell,
            num_classes=head.num_classes,
            sqrt=head.sqrt,
            softmax=head.softmax,
            **self.config.yolo_v1_loss.to_dict(),
        )

    def image_labels(self, batch: Any) -> jax.Array | None:
        """The node of each picture that has a label and no boxes, -1 of the others; None where all have boxes."""
        return None

    def evaluate(self, model: Any, examples: int = EXAMPLES) -> Evaluation:
        """The evaluation of a Detector on the evaluation set, which keeps so many pictures for a report."""
        options = self.config.evaluation
        return evaluate(
            model,
            self.evaluation_set,
            batch_size=options.batch_size,
            score_threshold=options.score_threshold,
            nms_threshold=options.nms_threshold,
            iou_rule=options.iou_rule,
            seen=self.network.seen,
            examples=examples,
        )

    def preview(self, batch: dict[str, np.ndarray]) -> list[Preview]:
        """The first pictures of a batch with their boxes."""
        found = []
        for row, image in enumerate(self.pixels(batch)):
            mask = batch["mask"][row]
            labels = batch["labels"][row][mask]
            names = [self.dataset.classes[label] for label in labels]
            found.append(Preview(image, batch["boxes_cxcywh"][row][mask], labels, names, self.caption(batch, row)))
        return found

    def caption(self, batch: dict[str, np.ndarray], row: int) -> str:
        """What a batch says of a picture besides its boxes."""
        return ""
