"""A trained detector that takes pictures and gives boxes: what `load` and `load_darknet` return."""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax import decode, images
from yolo9000_jax.errors import UserError

RESIZES = {"letterbox": images.letterbox, "stretch": images.stretch}


@dataclass(frozen=True)
class Result:
    """The detections in one picture, best first. Shows itself as a picture in a notebook.

    image uint8 [H, W, 3]; boxes_xyxy float32 [N, 4] pixels of the picture; scores float32 [N]; classes int [N]; labels,
    the classes' names [N].
    """

    image: np.ndarray
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scores)

    def draw(self) -> np.ndarray:
        """The picture with boxes, labels and scores: uint8 [H, W, 3]."""
        from yolo9000_jax.report.draw import class_color, draw_boxes

        captions = [f"{label} {score:.2f}" for label, score in zip(self.labels, self.scores, strict=True)]
        return draw_boxes(self.image, self.boxes_xyxy, captions, [class_color(c) for c in self.classes])

    def to_json(self) -> dict[str, Any]:
        """The picture's size and detections, as `yolo9000 predict --json` writes them."""
        height, width = self.image.shape[:2]
        detections = [
            {
                "box_xyxy": [round(float(v), 2) for v in box],
                "score": round(float(score), 6),
                "class": int(c),
                "label": label,
            }
            for box, score, c, label in zip(self.boxes_xyxy, self.scores, self.classes, self.labels, strict=True)
        ]
        return {"width": width, "height": height, "detections": detections}

    def _repr_png_(self) -> bytes:
        from PIL import Image

        data = io.BytesIO()
        Image.fromarray(self.draw()).save(data, "PNG")
        return data.getvalue()

    def __repr__(self) -> str:
        found = ", ".join(f"{label} {score:.2f}" for label, score in zip(self.labels, self.scores, strict=True))
        return f"<{len(self)} detections: {found}>"


class Detector:
    """A region network with everything needed to apply it to pictures.

    Args:
        model: Flax module whose `apply(variables, images [B, H, W, 3])` gives a raw grid [B, S, S', A, 5 + C].
        variables: its variables.
        classes: names of the C classes.
        anchors_cells: priors [A, 2] in grid cells.
        size_wh: width and height of the network's input, multiples of 32.
        resize: how a picture is brought to that size: "letterbox" (proportions kept, grey bars) or "stretch".
    """

    def __init__(self, model, variables, classes: Sequence[str], anchors_cells, size_wh, resize: str = "letterbox"):
        if resize not in RESIZES:
            raise UserError(f"resize {resize!r}: choose letterbox or stretch")
        self.model, self.variables = model, variables
        self.classes = tuple(classes)
        self.anchors_cells = np.asarray(anchors_cells, np.float32)
        self.size_wh = tuple(int(side) for side in size_wh)
        self.resize = resize

    def __call__(self, image, threshold: float = 0.25, nms: float = 0.45) -> Result:
        """Detections in one picture: a path, or pixels uint8 [H, W, 3].

        Only scores above `threshold` are returned; of two boxes of one class that overlap by an IoU above `nms`, the
        better stays. Raises UserError for a picture that cannot be read.
        """
        return next(self.stream([image], threshold=threshold, nms=nms, batch_size=1))

    def stream(
        self, pictures: Iterable, *, threshold=0.25, nms=0.45, batch_size=8, max_detections=100
    ) -> Iterator[Result]:
        """Detections of many pictures (paths or pixels), in order, a batch at a time. Arguments as for a call."""
        pictures = iter(pictures)
        while batch := list(islice(pictures, batch_size)):
            pixels = [self._pixels(picture) for picture in batch]
            inputs = np.stack([RESIZES[self.resize](image, *self.size_wh) for image in pixels])
            # The last batch is padded to the size of the others, which saves a compilation.
            inputs = np.concatenate([inputs, np.zeros((batch_size - len(batch), *inputs.shape[1:]), np.float32)])
            found = jax.device_get(
                _detect(self.model, self.variables, inputs, self.anchors_cells, threshold, nms, max_detections)
            )
            for row, image in enumerate(pixels):
                yield self._result(image, *(array[row] for array in found))

    def _pixels(self, picture) -> np.ndarray:
        if isinstance(picture, (str, Path)):
            return images.read_image(picture)
        pixels = np.asarray(picture)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise UserError(f"a picture is a path or uint8 [H, W, 3], not {pixels.dtype} {list(pixels.shape)}")
        return pixels

    def _result(self, image, boxes_cxcywh, scores, labels, valid) -> Result:
        height, width = image.shape[:2]
        boxes, classes = boxes_cxcywh[valid], labels[valid]
        if self.resize == "letterbox":
            boxes_xyxy = decode.unletterbox(boxes, (width, height), self.size_wh, clip=True)
        else:
            boxes_xyxy = decode.unstretch(boxes, (width, height), clip=True)
        return Result(image, boxes_xyxy, scores[valid], classes, tuple(self.classes[c] for c in classes))


@partial(jax.jit, static_argnames=("model", "max_detections"))
def _detect(model, variables, inputs, anchors_cells, threshold, nms, max_detections):
    raw = model.apply(variables, jnp.asarray(inputs))
    return decode.detect(raw, anchors_cells, threshold, nms, max_detections)


def load(workdir: str | Path) -> Detector:
    """The best detector that `train` left in a workdir. Raises UserError where there is none."""
    from yolo9000_jax import config as configs
    from yolo9000_jax.models.build import build_detector
    from yolo9000_jax.training.checkpoint import load_variables

    workdir = Path(workdir)
    if not (workdir / "config.json").is_file():
        raise UserError(f"{workdir}: no config.json, so this is no workdir of `yolo9000 train`")
    config = configs.read(workdir / "config.json")
    return build_detector(config, load_variables(workdir))
