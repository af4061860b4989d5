"""What a detector and a classifier say of a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import Any, NamedTuple, overload

import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.html import Html, bar, card, picture, table
from yolo9000_jax.places import as_path
from yolo9000_jax.report.draw import class_color, draw_boxes, save_picture
from yolo9000_jax.report.fonts import drawable
from yolo9000_jax.wordtree.tree import WordTree

SMALL_SIDE = 320  # pixels of the longer side, below which a picture is drawn enlarged
PATH_STEPS = 2  # of a path, in a picture
SHOWN = 5  # in a repr
LISTED = 20  # in a notebook


class Detection(NamedTuple):
    """One detection: its box (x0, y0, x1, y1) in pixels of the picture, its score, its class and that class's name.

    Where the classes form a tree also path, the names from the root down to this one, and path_probabilities, how sure
    each of its steps is; otherwise None.
    """

    box_xyxy: tuple[float, float, float, float]
    score: float
    label: int
    name: str
    path: tuple[str, ...] | None = None
    path_probabilities: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Result(Sequence[Detection]):
    """The detections in one picture, best first: a sequence of `Detection`s that shows itself in a notebook.

    Of N detections a slice, or an array of places or of N truth values, chooses some: `result[result.scores > 0.5]`.

    Attributes:
        image: the picture, uint8 [H, W, 3].
        boxes_xyxy: float32 [N, 4], pixels of the picture.
        scores: float32 [N].
        labels: int [N], the classes.
        class_names: the names of all classes of the detector.
        tree: the WordTree that the classes form, or None.
        step_probabilities: float32 [N, levels], how sure each step of the label's path is once the one before it is
            taken; None without a tree, and where only some of its nodes were looked for.
        top_down: what the same network says going down the tree, where it was asked for beside such nodes.
        left_out: how many more there were, of lower scores, beyond the limit that was asked for.
    """

    image: np.ndarray
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    tree: WordTree | None = None
    step_probabilities: np.ndarray | None = None
    top_down: "Result | None" = None
    left_out: int = 0

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each detection's class [N]."""
        return tuple(self.class_names[label] for label in self.labels)

    @cached_property
    def paths(self) -> tuple[tuple[str, ...], ...] | None:
        """The names from the root of the tree down to each label [N]; None without a tree."""
        if self.tree is None:
            return None
        return tuple(tuple(_path_names(self.tree, label, self.class_names)) for label in self.labels)

    @cached_property
    def path_probabilities(self) -> tuple[tuple[float, ...], ...] | None:
        """The probability of each node on the paths, given the one above it [N]; None without step_probabilities."""
        if self.paths is None or self.step_probabilities is None:
            return None
        rows = zip(self.paths, self.step_probabilities.tolist(), strict=True)
        return tuple(tuple(row[: len(path)]) for path, row in rows)

    def __len__(self) -> int:
        return len(self.scores)

    @overload
    def __getitem__(self, index: int) -> Detection: ...

    @overload
    def __getitem__(self, index: slice | np.ndarray) -> "Result": ...

    def __getitem__(self, index: int | slice | np.ndarray) -> "Detection | Result":
        if isinstance(index, slice) or np.ndim(index):
            names = ("boxes_xyxy", "scores", "labels", "step_probabilities")
            arrays = {name: array[index] for name in names if (array := getattr(self, name)) is not None}
            return replace(self, **arrays)
        x0, y0, x1, y1 = self.boxes_xyxy[index].tolist()
        return Detection(
            (x0, y0, x1, y1),
            float(self.scores[index]),
            int(self.labels[index]),
            self.names[index],
            None if self.paths is None else self.paths[index],
            None if self.path_probabilities is None else self.path_probabilities[index],
        )

    def __iter__(self) -> Iterator[Detection]:
        return (self[index] for index in range(len(self)))

    def draw(self, same_size: bool = False) -> np.ndarray:
        """The picture with boxes, names and scores, and the end of each name's path: uint8 [H, W, 3].

        A small picture is enlarged, and where names have no room there are numbers and a list below.

        Args:
            same_size: the picture keeps its size, as the frames of a video must: without either.
        """
        longer = max(self.image.shape[:2])
        if not same_size and longer < SMALL_SIDE:
            return self.enlarged(-(-SMALL_SIDE // longer)).draw()
        captions = [
            f"{drawable(found.name, f'class {found.label}')} {found.score:.2f}{_path_end(found)}" for found in self
        ]
        colors = [class_color(label) for label in self.labels]
        return draw_boxes(self.image, self.boxes_xyxy, captions, colors, listed=not same_size)

    def enlarged(self, times: int) -> "Result":
        """The same with the picture and the boxes larger, so that captions take less of it."""
        image = np.repeat(np.repeat(self.image, times, 0), times, 1)
        return replace(self, image=image, boxes_xyxy=self.boxes_xyxy * times)

    def to_json(self) -> dict[str, Any]:
        """The picture's size and detections, as `yolo9000 predict --json` writes them; with a tree also their paths."""
        height, width = self.image.shape[:2]
        return {"width": width, "height": height, "detections": [_detection_json(found) for found in self]}

    def to_pandas(self) -> Any:
        """A pandas DataFrame, a row a detection: x0, y0, x1, y1 in pixels of the picture, score, label and name.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise UserError("to_pandas: pandas is not installed: pip install pandas") from None
        sides = dict(zip(("x0", "y0", "x1", "y1"), self.boxes_xyxy.T, strict=True))
        return pandas.DataFrame(sides | {"score": self.scores, "label": self.labels, "name": list(self.names)})

    def to_supervision(self) -> Any:
        """The detections as `supervision.Detections`, the names as its data "class_name".

        Raises:
            UserError: supervision is not installed.
        """
        try:
            import supervision
        except ImportError:
            raise UserError("to_supervision: supervision is not installed: pip install supervision") from None
        return supervision.Detections(
            xyxy=self.boxes_xyxy.astype(np.float32),
            confidence=self.scores.astype(np.float32),
            class_id=self.labels.astype(int),
            data={"class_name": np.array(self.names, str)},
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the picture with its boxes (`draw`); the path's ending chooses the format.

        Raises:
            UserError: it cannot be written.
        """
        save_picture(self.draw(), as_path(path))

    def crop(self, margin: float = 0.0) -> list[np.ndarray]:
        """What each box holds: a list of N pictures, uint8 [h, w, 3], of one pixel at least.

        Args:
            margin: how much more to each side, a share of the box's own; the picture's edge ends it.
        """
        height, width = self.image.shape[:2]
        low, high = self.boxes_xyxy[:, :2], self.boxes_xyxy[:, 2:]
        wider = margin * (high - low)
        last = np.array([width, height]) - 1
        starts = np.clip(np.floor(low - wider), 0, last).astype(int)
        ends = np.maximum(np.clip(np.ceil(high + wider), 0, last + 1).astype(int), starts + 1)
        return [
            self.image[y0:y1, x0:x1].copy() for (x0, y0), (x1, y1) in zip(starts.tolist(), ends.tolist(), strict=True)
        ]

    def _repr_html_(self) -> Html:
        rows = [
            (found.name, f"{found.score:.2f}", ", ".join(f"{side:.0f}" for side in found.box_xyxy), _path_end(found))
            for found in self[:LISTED]
        ]
        more = f"and {len(self) - LISTED} more" if len(self) > LISTED else ""
        heads = ("name", "score", "box: x0, y0, x1, y1 in pixels", "path" if self.path_probabilities else "")
        found = table(heads, rows) if rows else ""
        title = f"{len(self)} detection{'s' * (len(self) != 1)}"
        return card(title, None, picture(self.draw()), found, more)

    def __repr__(self) -> str:
        found = f": {_listed(self.names, self.scores, 2)}" if len(self) else ""
        return f"<{len(self)} detection{'s' * (len(self) != 1)}{found}>"


class RankedClass(NamedTuple):
    """One class of a ranking: its number, its name, and how probable it is."""

    label: int
    name: str
    score: float


@dataclass(frozen=True, eq=False, repr=False)
class Ranking(Sequence[RankedClass]):
    """The most probable classes of one picture, best first: a sequence of `RankedClass`es.

    Attributes: labels int [K], scores float32 [K], class_names, the names of all classes of the classifier, and tree,
    the WordTree that they form, or None.
    """

    labels: np.ndarray
    scores: np.ndarray
    class_names: tuple[str, ...]
    tree: WordTree | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the classes [K]."""
        return tuple(self.class_names[label] for label in self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> RankedClass: ...

    @overload
    def __getitem__(self, index: slice) -> "Ranking": ...

    def __getitem__(self, index: int | slice) -> "RankedClass | Ranking":
        if isinstance(index, slice):
            return replace(self, labels=self.labels[index], scores=self.scores[index])
        return RankedClass(int(self.labels[index]), self.names[index], float(self.scores[index]))

    def to_json(self) -> dict[str, Any]:
        """As `yolo9000 classify --json` writes it; with a tree also the names from the root down to each class."""
        top: list[dict[str, Any]] = [
            {"class": label, "label": name, "score": round(score, 6)} for label, name, score in self
        ]
        if self.tree is not None:
            top = [
                item | {"path": _path_names(self.tree, label, self.class_names)}
                for item, (label, *_) in zip(top, self, strict=True)
            ]
        return {"top": top}

    def _repr_html_(self) -> Html:
        return table((), [(name, f"{score:.3f}", bar(score)) for _, name, score in self])

    def __repr__(self) -> str:
        return f"<{_listed(self.names, self.scores, 3)}>"


def _path_names(tree: WordTree, label: int, class_names: Sequence[str]) -> list[str]:
    return [class_names[node] for node in tree.path(label)]


def _listed(names: Sequence[str], scores: np.ndarray, digits: int) -> str:
    """ "dog 0.90, cat 0.51, … 3 more"."""
    shown = [f"{name} {score:.{digits}f}" for name, score in zip(names[:SHOWN], scores[:SHOWN], strict=True)]
    return ", ".join(shown) + (f", … {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _path_end(found: Detection) -> str:
    """A second line, "… > feline .97 > tiger .81": the last steps of the path, and how sure each is."""
    if found.path is None or found.path_probabilities is None:
        return ""
    pairs = zip(found.path, found.path_probabilities, strict=True)
    steps = [f"{name} {f'{step:.2f}'.removeprefix('0')}" for name, step in pairs]
    return "\n" + " > ".join(["…"] * (len(steps) > PATH_STEPS) + steps[-PATH_STEPS:])


def _detection_json(found: Detection) -> dict[str, Any]:
    item: dict[str, Any] = {
        "box_xyxy": [round(value, 2) for value in found.box_xyxy],
        "score": round(found.score, 6),
        "class": found.label,
        "label": found.name,
    }
    if found.path is not None:
        item["path"] = list(found.path)
    if found.path_probabilities is not None:
        item["path_probabilities"] = [round(step, 6) for step in found.path_probabilities]
    return item
