"""What is trained: a task joins a model, its loss, its input and its evaluation."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax import colour
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError
from yolo9000_jax.losses.region import region_loss
from yolo9000_jax.models.build import build_detector, build_model
from yolo9000_jax.models.yolo_v2 import STRIDE
from yolo9000_jax.priors import kmeans_priors, to_cells
from yolo9000_jax.training.step import AXIS

PRIOR_BOXES = 20000  # boxes that k-means looks at, where a rendered set has no end


class Detection:
    """YOLOv2 on a detection data set.

    Making one opens and checks the data and settles what the config leaves open: classes, priors, boxes a picture;
    `config` then holds them.
    """

    metric = "voc_ap50"

    def __init__(self, config, say=print):
        _check_sizes(config)
        self._say = say
        classes = config.data.classes or None
        self.dataset = _open(config.data.source, config.data.split, classes, say)
        source = config.evaluation.source or config.data.source
        self.evaluation_set = _open(source, config.evaluation.split, self.dataset.classes, say)
        self.config = _settle(config, self.dataset, say)
        self.model = build_model(self.config, AXIS)

    def init(self, seed: int):
        """Fresh variables."""
        side = 2 * STRIDE
        return jax.jit(self.model.init)(jax.random.key(seed), jnp.zeros((1, side, side, 3)))

    def batches(self, start_step: int):
        """Batches of every step from `start_step` on; see data.pipeline.detection_batches."""
        from yolo9000_jax.data.pipeline import detection_batches

        return detection_batches(
            self.dataset,
            self.config,
            start_step,
            self.config.data.max_boxes,
            jax.process_index(),
            jax.process_count(),
        )

    def blame(self, step: int) -> str | None:
        """What is wrong with the pictures of a step's batch: the first line of complaint, or None."""
        from yolo9000_jax.data.pipeline import batch_records

        for index in batch_records(self.dataset, self.config, step):
            try:
                self.dataset[index].read()
            except UserError as error:
                return str(error)
        return None

    def sizes(self) -> list[int]:
        """Input sizes of the run, the largest first."""
        return sorted(set(self.config.multi_scale or (self.config.image_size,)), reverse=True)

    def blank_batch(self, size: int):
        """A batch of this process's shape, all zeros: to compile with."""
        share, boxes = self.config.batch_size // jax.process_count(), self.config.data.max_boxes
        return {
            "images": np.zeros((share, size, size, 3), np.uint8),
            "colour": np.zeros((share, 3), np.float32),
            "boxes_cxcywh": np.zeros((share, boxes, 4), np.float32),
            "labels": np.zeros((share, boxes), np.int32),
            "mask": np.zeros((share, boxes), bool),
        }

    def loss(self, params, batch_stats, batch, step):
        """The mean loss of a batch: (scalar, (metrics, batch_stats))."""
        raw, mutated = self.model.apply(
            {"params": params, "batch_stats": batch_stats}, self.inputs(batch), train=True, mutable=["batch_stats"]
        )
        loss = region_loss(
            raw,
            batch["boxes_cxcywh"],
            batch["labels"],
            batch["mask"],
            jnp.asarray(self.config.model.anchors_cells, jnp.float32),
            seen=(step + 1) * self.config.batch_size,
            **self.config.loss.to_dict(),
        )
        metrics = {
            "loss": loss.total,
            "loss_xy": loss.xy,
            "loss_wh": loss.wh,
            "loss_object": loss.objectness,
            "loss_class": loss.classes,
            "average_iou": loss.avg_iou,
            "responsible_recall50": loss.recall50,
        }
        return loss.total, (metrics, mutated["batch_stats"])

    def inputs(self, batch):
        """The network's input [B, S, S, 3] in 0..1, colours changed."""
        return colour.distort(batch["images"].astype(jnp.float32) / 255, *jnp.moveaxis(batch["colour"], -1, 0))

    def detector(self, variables):
        """The detector with these variables."""
        return build_detector(self.config, variables, self.model)

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
            report=report,
            say=self._say,
        )

    def draw_batch(self, batch) -> np.ndarray:
        """A contact sheet of the batch as the network sees it, with its boxes: uint8 [H, W, 3]."""
        from yolo9000_jax.boxes import cxcywh_to_xyxy
        from yolo9000_jax.report.draw import class_color, contact_sheet, draw_boxes

        pixels = np.uint8(np.rint(255 * np.asarray(jax.jit(self.inputs)(batch))))
        pictures = []
        for image, boxes, labels, mask in zip(
            pixels[:16], batch["boxes_cxcywh"], batch["labels"], batch["mask"], strict=False
        ):
            boxes_xyxy = cxcywh_to_xyxy(boxes[mask]) * image.shape[0]
            names = [self.config.data.classes[label] for label in labels[mask]]
            pictures.append(draw_boxes(image, boxes_xyxy, names, [class_color(label) for label in labels[mask]]))
        return contact_sheet(pictures, columns=min(4, len(pictures)))


def _check_sizes(config) -> None:
    evaluation = (config.evaluation.image_size,) if config.evaluation.image_size else ()
    for size in (config.image_size, *config.multi_scale, *evaluation):
        if size < STRIDE or size % STRIDE:
            raise UserError(f"image_size {size}: an input size must be a multiple of {STRIDE}")


def _open(source: str, split: str, classes, say):
    if not source:
        raise UserError("data.source is empty: say where the training data are, e.g. --config.data.source=voc:DIR")
    dataset = open_source(source, split, classes)
    say(f"{source} {split}: {len(dataset)} pictures, {len(dataset.classes)} classes")
    for note in dataset.notes:
        say(f"  {note}")
    return dataset


def _settle(config, dataset, say):
    from yolo9000_jax.data.pipeline import fullest

    config = config.copy_and_resolve_references()
    config.data.classes = dataset.classes
    if not config.data.max_boxes:
        config.data.max_boxes = fullest(dataset)
    if not config.model.anchors_cells:
        priors = kmeans_priors(shapes(dataset), config.model.num_anchors, seed=config.seed)
        cells = to_cells(priors.anchors, config.image_size)
        config.model.anchors_cells = tuple((round(float(w), 3), round(float(h), 3)) for w, h in cells)
        text = " ".join(f"{w:.2f}x{h:.2f}" for w, h in config.model.anchors_cells)
        say(f"priors from k-means, in cells: {text} (average IoU {priors.average_iou:.3f})")
    return config


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
