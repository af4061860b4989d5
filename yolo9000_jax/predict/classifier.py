"""A trained classifier that takes pictures and gives classes: what `load` and `load_darknet` return for one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.errors import UserError
from yolo9000_jax.images import resizing as images
from yolo9000_jax.predict.detector import to_inputs, to_pixels
from yolo9000_jax.predict.files import PICTURES, expand
from yolo9000_jax.wordtree.softmax import absolute_log_probabilities, group_log_softmax


def _crop(image, width, height):
    if width != height:
        raise UserError(f"resize 'crop' makes squares, the network takes {width}x{height}: choose letterbox or stretch")
    return images.center_crop(image, width)


RESIZES = {"crop": _crop, "letterbox": images.letterbox, "stretch": images.resize}


@dataclass(frozen=True)
class Ranking:
    """The most probable classes of one picture, best first: classes int [K], scores float32 [K], labels [K]."""

    classes: np.ndarray
    scores: np.ndarray
    labels: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As `yolo9000 classify --json` writes it."""
        rows = zip(self.classes, self.labels, self.scores, strict=True)
        return {"top": [{"class": int(c), "label": label, "score": round(float(score), 6)} for c, label, score in rows]}

    def __repr__(self) -> str:
        return ", ".join(f"{label} {score:.3f}" for label, score in zip(self.labels, self.scores, strict=True))


class Classifier:
    """A classification network with everything needed to apply it to pictures.

    Args:
        model: Flax module whose `apply(variables, images [B, H, W, 3])` gives logits, C a picture.
        variables: its variables.
        classes: names of the C classes.
        size_wh: width and height of the network's input.
        resize: "crop" (the shorter side brought to the input's, then the central square), "letterbox" (proportions
            kept, grey bars) or "stretch".
        tree: WordTree of the classes: scores are the leaves' absolute probabilities, 0 for inner nodes (darknet.md 11).
        synsets: WordNet synset of each class or None; None: all unknown.
        notes: remarks for the user on what was found while loading.
    """

    def __init__(
        self, model, variables, classes: Sequence[str], size_wh, resize="crop", *, tree=None, synsets=None, notes=()
    ):
        self.model, self.variables = model, variables
        self.classes = tuple(classes)
        self.size_wh = tuple(int(side) for side in size_wh)
        self.resize = resize
        self.tree = tree
        self.synsets, self.notes = synsets, tuple(notes)

    @property
    def resize(self) -> str:
        return self._resize

    @resize.setter
    def resize(self, way: str):
        if way not in RESIZES:
            raise UserError(f"resize {way!r}: choose {', '.join(RESIZES)}")
        self._resize = way

    def __call__(self, image, top: int = 5) -> Ranking:
        """The `top` most probable classes of one picture: a path, or pixels uint8 [H, W, 3].

        Raises UserError for a picture that cannot be read.
        """
        return next(self.stream([image], top=top, batch_size=1))

    def stream(self, pictures: Iterable, *, top: int = 5, batch_size: int = 8) -> Iterator[Ranking]:
        """The most probable classes of many pictures (paths or pixels), in order, a batch at a time."""
        if top < 1:
            raise UserError(f"top {top}: it must be 1 or more")
        pictures = iter(pictures)
        while batch := list(islice(pictures, batch_size)):
            pixels = [to_pixels(picture) for picture in batch]
            inputs = to_inputs(pixels, RESIZES[self.resize], self.size_wh, batch_size)
            scores, classes = jax.device_get(
                _rank(self.model, self.variables, inputs, tree=self.tree, top=min(top, len(self.classes)))
            )
            for row in range(len(batch)):
                yield Ranking(classes[row], scores[row], tuple(self.classes[c] for c in classes[row]))


@partial(jax.jit, static_argnames=("model", "tree", "top"))
def _rank(model, variables, inputs, *, tree, top):
    logits = model.apply(variables, jnp.asarray(inputs))
    return jax.lax.top_k(probabilities(logits.reshape(len(inputs), -1), tree), top)


def probabilities(logits, tree=None):
    """Scores of the classes from logits [..., C]: softmax or, with a tree, the leaves' absolute probabilities."""
    if tree is None:
        return jax.nn.softmax(logits)
    absolute = jnp.exp(absolute_log_probabilities(group_log_softmax(logits, tree), tree))
    return jnp.where(jnp.asarray(tree.leaves), absolute, 0)


def classify(classifier: Classifier, inputs: Sequence[str | Path], *, top: int = 5, say=None) -> list[dict]:
    """The classes of pictures and of the pictures in folders: one {"image", "top": [{"class", "label", "score"}]} each.

    Args:
        inputs: paths; a folder stands for the pictures in it.
        top: classes a picture.
        say: called with one line a picture.

    Raises:
        UserError: a path is missing or cannot be read.
    """
    paths = [path for given in inputs for path in expand(Path(given), PICTURES)]
    items = []
    for path, ranking in zip(paths, classifier.stream(paths, top=top), strict=True):
        items.append({"image": str(path)} | ranking.to_json())
        if say:
            say(f"{path}: {ranking}")
    return items
