"""What an evaluation needs of a detector and of a classifier; those of `predict` have it, and any other may."""

from collections.abc import Callable, Iterable, Iterator, Sequence
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


class DetectorResult(Protocol):
    """What a detector says of one picture, best detection first.

    image uint8 [H, W, 3]; boxes_xyxy [N, 4] pixels of it; scores [N]; classes int [N]; labels, the classes' names [N].
    Where the classes form a tree: paths, the names from the root down to each label [N]; path_probabilities, how sure
    each step of them is [N], or None; top_down, what going down the tree gave, where it was asked for as well.
    """

    @property
    def image(self) -> np.ndarray: ...

    @property
    def boxes_xyxy(self) -> np.ndarray: ...

    @property
    def scores(self) -> np.ndarray: ...

    @property
    def classes(self) -> np.ndarray: ...

    @property
    def labels(self) -> Sequence[str]: ...

    @property
    def paths(self) -> Sequence[Sequence[str]] | None: ...

    @property
    def path_probabilities(self) -> Sequence[Sequence[float]] | None: ...

    @property
    def top_down(self) -> "DetectorResult | None": ...


class Detector(Model, Protocol):
    """Finds boxes; `stream` takes pictures, or records, which it reads ahead, and gives one result each, in order."""

    def stream(self, pictures: Iterable[Any], **options: Any) -> Iterator[DetectorResult]: ...


class TimedDetector(Detector, Protocol):
    """A detector whose speed can be measured: `program` gives the compiled function that `stream` runs."""

    size_wh: tuple[int, int]

    @property
    def resize(self) -> str: ...

    def program(self, size_wh: tuple[int, int], batch_size: int, **options: Any) -> Callable[[Any], Any]: ...


class Ranking(Protocol):
    """The most probable classes of one picture, best first: int [K]."""

    @property
    def classes(self) -> np.ndarray: ...


@runtime_checkable
class Classifier(Model, Protocol):
    """Ranks classes; `stream` gives a ranking a picture, `outputs` what a function of the logits [B, C] gives."""

    def stream(self, pictures: Iterable[Any], **options: Any) -> Iterator[Ranking]: ...

    def outputs(self, pictures: Iterable[Any], function: Callable[[Any], Any], batch_size: int) -> Iterator[Any]: ...
