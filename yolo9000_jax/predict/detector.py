"""A trained detector that takes pictures and gives boxes: what `load` and `load_darknet` return."""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.boxes.heads import RegionHead, YoloV1Head
from yolo9000_jax.boxes.nms import Detections
from yolo9000_jax.errors import UserError
from yolo9000_jax.images import reading
from yolo9000_jax.images import resizing as images
from yolo9000_jax.wordtree.tree import WordTree

RESIZES = {"letterbox": images.letterbox, "stretch": images.resize}
PATH_STEPS = 2  # of a path, in a picture


@dataclass(frozen=True)
class Result:
    """The detections in one picture, best first. Shows itself as a picture in a notebook.

    image uint8 [H, W, 3]; boxes_xyxy float32 [N, 4] pixels of the picture; scores float32 [N]; classes int [N]; labels,
    the classes' names [N]. Where the classes form a tree: paths, the names from the root down to each label [N], and
    path_probabilities, how sure each step of the path is once the one before it is taken [N], None with `nodes`.
    """

    image: np.ndarray
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    labels: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...] | None = None
    path_probabilities: tuple[tuple[float, ...], ...] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def draw(self) -> np.ndarray:
        """The picture with boxes, labels and scores, and the end of each label's path: uint8 [H, W, 3]."""
        from yolo9000_jax.report.draw import class_color, draw_boxes

        captions = [f"{label} {score:.2f}" for label, score in zip(self.labels, self.scores, strict=True)]
        if self.path_probabilities is not None:
            paths = zip(self.paths, self.path_probabilities, strict=True)
            captions = [f"{caption}\n{_path_end(*path)}" for caption, path in zip(captions, paths, strict=True)]
        return draw_boxes(self.image, self.boxes_xyxy, captions, [class_color(c) for c in self.classes])

    def enlarged(self, times: int) -> "Result":
        """The same with the picture and the boxes larger, so that captions take less of it."""
        image = np.repeat(np.repeat(self.image, times, 0), times, 1)
        return replace(self, image=image, boxes_xyxy=self.boxes_xyxy * times)

    def to_json(self) -> dict[str, Any]:
        """The picture's size and detections, as `yolo9000 predict --json` writes them; with a tree also their paths."""
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
        for item, path in zip(detections, self.paths or (), strict=bool(self.paths)):
            item["path"] = list(path)
        for item, steps in zip(detections, self.path_probabilities or (), strict=bool(self.path_probabilities)):
            item["path_probabilities"] = [round(float(step), 6) for step in steps]
        return {"width": width, "height": height, "detections": detections}

    def _repr_png_(self) -> bytes:
        from PIL import Image

        data = io.BytesIO()
        Image.fromarray(self.draw()).save(data, "PNG")
        return data.getvalue()

    def __repr__(self) -> str:
        found = ", ".join(f"{label} {score:.2f}" for label, score in zip(self.labels, self.scores, strict=True))
        return f"<{len(self)} detections: {found}>"


def _path_end(names: Sequence[str], probabilities: Sequence[float]) -> str:
    """ "… > feline .97 > tiger .81": the last steps of a path, and how sure each is."""
    steps = [f"{name} {f'{step:.2f}'.removeprefix('0')}" for name, step in zip(names, probabilities, strict=True)]
    return " > ".join(["…"] * (len(steps) > PATH_STEPS) + steps[-PATH_STEPS:])


class Detector:
    """A detection network with everything needed to apply it to pictures.

    Args:
        model: Flax module whose `apply(variables, images [B, H, W, 3])` gives what the head reads.
        variables: its variables.
        classes: names of the C classes.
        head: how the model's output is read: heads.RegionHead (YOLOv2, YOLO9000) or heads.YoloV1Head.
        size_wh: width and height of the network's input; of a region network multiples of 32.
        resize: how a picture is brought to that size: "letterbox" (proportions kept, grey bars) or "stretch".
        synsets: WordNet synset of each class or None; None: all unknown.
        notes: remarks for the user on what was found while loading.
    """

    def __init__(
        self,
        model,
        variables,
        classes: Sequence[str],
        head: RegionHead | YoloV1Head,
        size_wh,
        resize: str = "letterbox",
        *,
        synsets: Sequence[str | None] | None = None,
        notes: Sequence[str] = (),
    ):
        self.model, self.variables = model, variables
        self.classes = tuple(classes)
        self.head = head
        self.size_wh = tuple(int(side) for side in size_wh)
        self.resize = resize
        self.synsets, self.notes = synsets, tuple(notes)

    @property
    def tree(self) -> WordTree | None:
        """The WordTree of the classes, if they form one."""
        return self.head.tree

    @property
    def resize(self) -> str:
        return self._resize

    @resize.setter
    def resize(self, way: str):
        if way not in RESIZES:
            raise UserError(f"resize {way!r}: choose letterbox or stretch")
        self._resize = way

    def __call__(self, image, threshold: float = 0.25, nms: float = 0.45, hierarchical_threshold: float = 0.5):
        """The Result for one picture: a path, or pixels uint8 [H, W, 3].

        Only scores above `threshold` are returned; of two boxes of one class that overlap by an IoU above `nms`, the
        better stays. With a tree, `hierarchical_threshold` says how sure a label must be; a lower one goes deeper.
        Raises UserError for a picture that cannot be read.
        """
        options = {"threshold": threshold, "nms": nms, "hierarchical_threshold": hierarchical_threshold}
        return next(self.stream([image], batch_size=1, **options))

    def stream(
        self,
        pictures: Iterable,
        *,
        threshold=0.25,
        nms=0.45,
        hierarchical_threshold=0.5,
        nodes=None,
        batch_size=8,
        max_detections=100,
    ) -> Iterator[Result]:
        """Detections of many pictures (paths or pixels), in order, a batch at a time. Arguments as for a call.

        With a tree, `nodes` are the only classes to look for; their scores are then objectness times the node's
        absolute probability.
        """
        pictures = iter(pictures)
        nodes = None if nodes is None or self.tree is None else np.asarray(nodes, np.int32)
        while batch := list(islice(pictures, batch_size)):
            pixels = [to_pixels(picture) for picture in batch]
            inputs = to_inputs(pixels, RESIZES[self.resize], self.size_wh, batch_size)
            thresholds = (threshold, nms, hierarchical_threshold)
            found = _detect(self.model, self.variables, inputs, self.head, thresholds, nodes, max_detections)
            found = jax.device_get(found)
            if nodes is not None:
                found = found._replace(labels=nodes[found.labels])
            for row, image in enumerate(pixels):
                yield self._result(image, jax.tree.map(lambda rows, row=row: rows[row], found))

    def _result(self, image, found: Detections) -> Result:
        """The Result of one picture; `found` without its first axis."""
        found = jax.tree.map(lambda rows: rows[found.valid], found)
        height, width = image.shape[:2]
        boxes, classes = found.boxes_cxcywh, found.labels
        boxes_xyxy = images.Resize(self.resize).to_picture(boxes, (width, height), self.size_wh)
        names = tuple(self.classes[c] for c in classes)
        paths = steps = None
        if self.tree is not None:
            paths = tuple(tuple(self.classes[node] for node in self.tree.path(int(c))) for c in classes)
            if found.path_probabilities is not None:
                rows = zip(paths, found.path_probabilities.tolist(), strict=True)
                steps = tuple(tuple(row[: len(path)]) for path, row in rows)
        return Result(image, boxes_xyxy, found.scores, classes, names, paths, steps)


def to_inputs(pixels, resize, size_wh, batch_size: int) -> np.ndarray:
    """Pictures uint8 [H, W, 3] brought to the network's size: float32 [batch_size, height, width, 3].

    A batch that is not full ends in zeros: it has the shape of the others, which saves a compilation.
    """
    inputs = np.zeros((batch_size, size_wh[1], size_wh[0], 3), np.float32)
    for row, image in enumerate(pixels):
        inputs[row] = resize(image, *size_wh)
    return inputs


def to_pixels(picture) -> np.ndarray:
    """The pixels uint8 [H, W, 3] of a picture given as a path or as pixels. Raises UserError where it is neither."""
    if isinstance(picture, (str, Path)):
        return reading.read(picture)
    pixels = np.asarray(picture)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise UserError(f"a picture is a path or uint8 [H, W, 3], not {pixels.dtype} {list(pixels.shape)}")
    return pixels


@partial(jax.jit, static_argnames=("model", "head", "max_detections"))
def _detect(model, variables, inputs, head, thresholds, nodes, max_detections):
    raw = model.apply(variables, jnp.asarray(inputs))
    return head.detect(raw, *thresholds, nodes=nodes, max_detections=max_detections)


def load(workdir: str | Path):
    """The Detector, or the Classifier, that `train` or `yolo9000 convert` left in a workdir; of several the best.

    Raises UserError where there is none.
    """
    from yolo9000_jax import config as configs
    from yolo9000_jax.models.build import build_classifier, build_detector
    from yolo9000_jax.tasks.trees import load_tree
    from yolo9000_jax.workdir.checkpoints import as_folder, load_variables

    workdir = as_folder(workdir)
    if not (workdir / "config.json").is_file():
        raise UserError(f"{workdir}: no config.json, so this is no workdir of `yolo9000 train`")
    config = configs.read(workdir / "config.json")
    build = build_classifier if config.task == "classification" else build_detector
    return build(config, load_variables(workdir), tree=load_tree(workdir))
