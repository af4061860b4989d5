"""Detection: YOLOv2, or YOLOv1, on pictures with boxes."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.boxes.priors import hand_picked_anchors, kmeans_priors, to_cells
from yolo9000_jax.config import steps_of
from yolo9000_jax.losses.region import RegionLoss, region_loss
from yolo9000_jax.losses.yolo_v1 import yolo_v1_loss
from yolo9000_jax.models import yolo_v1, yolo_v2
from yolo9000_jax.models.build import build_detector, build_model
from yolo9000_jax.tasks.task import Task, blank_pictures, check_sizes, open_set
from yolo9000_jax.tasks.trees import nodes_of, open_tree
from yolo9000_jax.training.step import AXIS

STRIDES = {"yolo_v1": yolo_v1.STRIDE, "yolo_v2": yolo_v2.STRIDE}
PRIOR_BOXES = 20000  # boxes that k-means looks at, where a rendered set has no end


class Detection(Task):
    """YOLOv2 or YOLOv1 on a detection data set; YOLOv2 with a tree, on its nodes.

    Making one opens and checks the data and settles what the config leaves open: classes, priors, boxes a picture;
    `config` then holds them.
    """

    metric = "voc_ap50"

    def __init__(self, config, say=print):
        check_sizes(config, STRIDES[config.model.architecture])
        self._say = say
        self.dataset = open_set("data.source", config.data.source, config.data.split, config.data.classes, say)
        self.tree = open_tree(config.model.tree, self.dataset, *self._more_sets(config))
        # Labels of the batches are the data set's; these are the network's.
        self.nodes = np.arange(len(self.dataset.classes)) if self.tree is None else nodes_of(self.dataset, self.tree)
        classes = config.evaluation.classes or (() if self.tree else self.dataset.classes)
        source = config.evaluation.source or config.data.source
        self.evaluation_set = open_set("evaluation.source", source, config.evaluation.split, classes, say)
        self.config = _settle(config, self.dataset, say)
        self.model = build_model(self.config, AXIS, self.tree)

    def _more_sets(self, config) -> list:
        """The other data sets whose classes the network learns."""
        return []

    def batches(self, start_step: int):
        """Batches of every step from `start_step` on; see data.pipeline.detection_batches."""
        from yolo9000_jax.data.pipeline import detection_batches

        boxes, place = self.config.data.max_boxes, (jax.process_index(), jax.process_count())
        return detection_batches(self.dataset, self.config, start_step, boxes, *place)

    def records(self, step: int) -> list:
        """The records in the batch of a step."""
        from yolo9000_jax.data.pipeline import batch_records

        return [self.dataset[index] for index in batch_records(self.dataset, self.config, step)]

    def blank_batch(self, size: int):
        """A batch of this process's shape, all zeros: to compile with."""
        pictures, boxes = blank_pictures(self.config, size), self.config.data.max_boxes
        share = len(pictures["images"])
        return pictures | {
            "boxes_cxcywh": np.zeros((share, boxes, 4), np.float32),
            "labels": np.zeros((share, boxes), np.int32),
            "mask": np.zeros((share, boxes), bool),
        }

    def loss(self, params, batch_stats, batch, step):
        """The mean loss of a batch: (scalar, (metrics, batch_stats))."""
        output, batch_stats = self.apply(params, batch_stats, batch, step)
        loss_of = self._yolo_v1_loss if self.config.model.architecture == "yolo_v1" else self._region_loss
        loss = loss_of(output, batch, step)
        metrics = {
            "loss": loss.total,
            "loss_xy": loss.xy,
            "loss_wh": loss.wh,
            "loss_object": loss.objectness,
            "loss_class": loss.classes,
            "average_iou": loss.avg_iou,
            "responsible_recall50": loss.recall50,
        }
        return loss.total, (metrics, batch_stats)

    def _region_loss(self, raw, batch, step) -> RegionLoss:
        return region_loss(
            raw,
            batch["boxes_cxcywh"],
            jnp.asarray(self.nodes)[batch["labels"]],
            batch["mask"],
            jnp.asarray(self.config.model.anchors_cells, jnp.float32),
            seen=(step + 1) * self.config.batch_size,
            tree=self.tree,
            image_labels=self.image_labels(batch),
            location=self.config.model.box_parametrisation,
            **self.config.loss.to_dict(),
        )

    def _yolo_v1_loss(self, vector, batch, step) -> RegionLoss:
        return yolo_v1_loss(
            vector,
            batch["boxes_cxcywh"],
            batch["labels"],
            batch["mask"],
            side=self.config.model.side,
            boxes_per_cell=self.config.model.boxes_per_cell,
            num_classes=len(self.config.model.classes),
            **self.config.yolo_v1_loss.to_dict(),
        )

    def image_labels(self, batch):
        """The node of each picture that has a label and no boxes, -1 of the others; None where all have boxes."""
        return None

    def detector(self, variables):
        """The detector with these variables."""
        return build_detector(self.config, variables, self.model, self.tree)

    def evaluate(self, variables, report: Path | None = None) -> dict:
        """Metrics of these variables on the evaluation set."""
        from yolo9000_jax.evaluation.detection import evaluate

        options = self.config.evaluation
        return evaluate(
            self.detector(variables),
            self.evaluation_set,
            batch_size=options.batch_size,
            score_threshold=options.score_threshold,
            nms_threshold=options.nms_threshold,
            seen=None if self.tree is None else [self.tree.synsets[node] for node in self.nodes],
            report=report,
            say=self._say,
        )

    def draw_batch(self, batch) -> np.ndarray:
        """A contact sheet of the batch as the network sees it, with its boxes: uint8 [H, W, 3]."""
        from yolo9000_jax.boxes.geometry import cxcywh_to_xyxy
        from yolo9000_jax.report.draw import class_color, contact_sheet, draw_boxes

        pictures = []
        for row, image in enumerate(self.pixels(batch)):
            mask = batch["mask"][row]
            boxes_xyxy = cxcywh_to_xyxy(batch["boxes_cxcywh"][row][mask]) * image.shape[0]
            labels = batch["labels"][row][mask]
            names = [self.dataset.classes[label] for label in labels]
            pictures.append(draw_boxes(image, boxes_xyxy, names, [class_color(label) for label in labels]))
        return contact_sheet(pictures, columns=min(4, len(pictures)), captions=self.captions(batch, len(pictures)))

    def captions(self, batch, count: int) -> list[str] | None:
        """What a batch says of its first pictures besides their boxes."""
        return None


def _settle(config, dataset, say):
    from yolo9000_jax.data.pipeline import fullest

    config = config.copy_and_resolve_references()
    config.steps, config.epochs = steps_of(config, len(dataset)), 0.0
    config.model.classes = dataset.classes
    if not config.data.max_boxes:
        config.data.max_boxes = fullest(dataset)
    if config.model.architecture == "yolo_v2" and not config.model.anchors_cells:
        cells = to_cells(_priors(config, dataset, say), config.image_size)
        config.model.anchors_cells = tuple((round(float(w), 3), round(float(h), 3)) for w, h in cells)
        say("priors, in cells: " + " ".join(f"{w:.2f}x{h:.2f}" for w, h in config.model.anchors_cells))
    return config


def _priors(config, dataset, say) -> np.ndarray:
    """The priors that the config asks for: [A, 2], fractions of the picture."""
    if config.model.priors == "hand_picked":
        return hand_picked_anchors()
    priors = kmeans_priors(shapes(dataset), config.model.num_anchors, seed=config.seed)
    say(f"priors from k-means: average IoU {priors.average_iou:.3f}")
    return priors.anchors


def shapes(dataset) -> np.ndarray:
    """Widths and heights of a data set's boxes as fractions of their pictures [N, 2]; some 20000 if it is rendered."""
    found, count = [], 0
    for record in dataset:
        sides = record.boxes_xyxy[:, 2:] - record.boxes_xyxy[:, :2]
        found.append(sides / np.float32([record.width, record.height]))
        count += len(sides)
        if dataset.rendered and count >= PRIOR_BOXES:
            break
    return np.concatenate(found) if found else np.zeros((0, 2), np.float32)
