"""What an evaluation needs of a detector and of a classifier; those of `predict` have it, and any other may."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from yolo9000_jax.wordtree.tree import WordTree


class Model(Protocol):
    """The classes of a network: their names, their WordNet synsets where known, and their tree if they form one."""

    @property
    def classes(self) -> Sequence[str]: ...

    @property
    def synsets(self) -> Sequence[str | None] | None: ...

    @property
    def tree(self) -> WordTree | None: ...


class Drawable(Protocol):
    """A result that draws itself: chosen detections of it, the picture enlarged, and the picture with its boxes."""

    @property
    def scores(self) -> np.ndarray: ...

    def __getitem__(self, chosen: np.ndarray, /) -> "Drawable": ...

    def enlarged(self, times: int) -> "Drawable": ...

    def draw(self) -> np.ndarray: ...


class DetectorResult(Drawable, Protocol):
    """What a detector says of one picture, best detection first.

    image uint8 [H, W, 3]; boxes_xyxy [N, 4] pixels of it; scores [N]; labels int [N], the classes; top_down: where the
    classes form a tree, what going down it gave, if that was asked for as well.
    """

    @property
    def image(self) -> np.ndarray: ...

    @property
    def boxes_xyxy(self) -> np.ndarray: ...

    @property
    def labels(self) -> np.ndarray: ...

    @property
    def top_down(self) -> "DetectorResult | None": ...


class Detector(Model, Protocol):
    """Finds boxes; `stream` takes pictures, or records, which it reads ahead, and gives one result each, in order."""

    @property
    def stream(self) -> Callable[..., Iterator[DetectorResult]]: ...


class TimedDetector(Detector, Protocol):
    """A detector whose speed can be measured: `program` gives what `stream` runs, a function of the network's inputs.

    size_wh, which may be changed, are the sides of the inputs, and `to_inputs` makes some of pictures or records.
    """

    size_wh: tuple[int, int]

    def to_inputs(self, pictures: Sequence[Any]) -> np.ndarray: ...

    @property
    def program(self) -> Callable[..., Callable[[Any], Any]]: ...


class Ranking(Protocol):
    """The most probable classes of one picture, best first: int [K]."""

    @property
    def labels(self) -> np.ndarray: ...


@runtime_checkable
class Classifier(Model, Protocol):
    """Ranks classes; `stream` gives a ranking a picture, `outputs` what a function of the logits [B, C] gives."""

    @property
    def stream(self) -> Callable[..., Iterator[Ranking]]: ...

    @property
    def outputs(self) -> Callable[..., Iterator[Any]]: ...
