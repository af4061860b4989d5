"""A trained classifier that takes pictures and gives classes: what `load` and `load_darknet` return for one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, overload

import flax.linen as nn
import jax

from yolo9000_jax.errors import UserError
from yolo9000_jax.predict.pictures import Picture, are_many
from yolo9000_jax.predict.predictor import Predictor
from yolo9000_jax.predict.result import Ranking
from yolo9000_jax.wordtree.softmax import class_probabilities
from yolo9000_jax.wordtree.tree import WordTree

BATCH_SIZE = 8


class Classifier(Predictor):
    """A classification network with everything needed to apply it to pictures.

    Args:
        model: its `apply(variables, images [B, H, W, 3])` gives logits, C a picture.
        resize: "crop" (the shorter side brought to the input's, then the central square), "letterbox" (proportions
            kept, grey bars) or "stretch".
        tree: WordTree of the classes: scores are the leaves' absolute probabilities, 0 for inner nodes (darknet.md 11).

    All others are those of `Predictor`.
    """

    resizes: ClassVar[tuple[str, ...]] = ("crop", "letterbox", "stretch")

    def __init__(
        self,
        model: nn.Module,
        variables: Mapping[str, Any],
        classes: Sequence[str],
        size_wh: Sequence[int],
        resize: str = "crop",
        sampling: str = "darknet",
        *,
        tree: WordTree | None = None,
        synsets: Sequence[str | None] | None = None,
        notes: Sequence[str] = (),
    ):
        options: dict[str, Any] = {"tree": tree, "synsets": synsets, "notes": notes}
        super().__init__(model, variables, classes, size_wh, resize, sampling, **options)

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a Sequence[str] too, but one picture
        self, picture: Picture, top: int = ...
    ) -> Ranking: ...

    @overload
    def __call__(self, picture: Sequence[Picture], top: int = ...) -> list[Ranking]: ...

    def __call__(self, picture: Any, top: int = 5) -> Ranking | list[Ranking]:
        """The `top` most probable classes of one picture, or of each of several.

        Args:
            picture: a path, an http(s) address, a Pillow picture, or an array (pictures.to_pixels); or a list of these,
                or a data set.
            top: classes a picture.

        Raises:
            UserError: a picture cannot be read.
        """
        if are_many(picture):
            return list(self.stream(picture, top=top, batch_size=max(1, min(BATCH_SIZE, len(picture)))))
        return next(self.stream([picture], top=top, batch_size=1))

    def stream(self, pictures: Iterable[Picture], *, top: int = 5, batch_size: int = BATCH_SIZE) -> Iterator[Ranking]:
        """The most probable classes of many pictures, in order; arguments and errors as for `outputs` and a call."""
        if top < 1:
            raise UserError(f"top {top}: it must be 1 or more")
        rank = _Rank(self.tree, min(top, len(self.classes)))
        for scores, labels in self.outputs(pictures, rank, batch_size):
            yield Ranking(labels, scores, self.classes, self.tree)

    def outputs(
        self, pictures: Iterable[Picture], function: Callable[[jax.Array], Any], batch_size: int = BATCH_SIZE
    ) -> Iterator[Any]:
        """What a function makes of the logits of many pictures, in order; the next are read while the network works.

        Args:
            pictures: any iterable of what a call takes, of records, or of frames; some are taken from it ahead.
            function: from logits [B, C] to arrays whose first axis is the batch's, in JAX's functions. It is compiled
                together with the network, once for all functions that are equal: give the same one again, or one of a
                frozen dataclass.
            batch_size: pictures that a device works on at a time.

        Yields:
            The picture's row of the function's arrays, as NumPy arrays.

        Raises:
            UserError: a picture cannot be read: at its place, after the outputs of those before it.
        """
        read = _OfLogits(function)
        found = self._run(pictures, lambda inputs: self.read_output(read, self.forward(inputs)), batch_size)
        return (output for _, output in found)


@dataclass(frozen=True)
class _OfLogits:
    """A function of logits [B, C], made one of the network's output, whatever axes of length 1 that has."""

    function: Callable[[jax.Array], Any]

    def __call__(self, output: jax.Array) -> Any:
        return self.function(output.reshape(len(output), -1))


@dataclass(frozen=True)
class _Rank:
    """Scores and labels of the `top` best classes [B, top], from logits [B, C]."""

    tree: WordTree | None
    top: int

    def __call__(self, logits: jax.Array) -> Sequence[jax.Array]:
        return jax.lax.top_k(class_probabilities(logits, self.tree), self.top)
