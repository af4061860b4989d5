"""Joint training on pictures with boxes and pictures with only a label: YOLO9000 (paper, section 4)."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.data.counts import empty_classes
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.table import Record
from yolo9000_jax.errors import UserError
from yolo9000_jax.logs import logger
from yolo9000_jax.tasks.detection import Detection
from yolo9000_jax.tasks.task import open_set
from yolo9000_jax.tasks.trees import nodes_of
from yolo9000_jax.wordtree.tree import WordTree
from yolo9000_jax.workdir.facts import Facts

NAMES_IN_MESSAGE = 5


class Joint(Detection):
    """YOLOv2 on a tree, whose batches also hold pictures of `config.classification`. Arguments as of `Detection`."""

    def __init__(self, config: Any, facts: Facts | None = None):
        if not config.model.tree:
            raise UserError("model.tree is empty: a joint experiment needs a WordTree of both data sets' classes")
        super().__init__(config, facts)
        assert self.network.tree is not None
        self._label_nodes = nodes_of(self.labelled_set, self.network.tree)
        self._check_images()
        self._say_what_stays_coarse(self.network.tree)
        logger.info(f"{float(self._share()):.1%} of the pictures have boxes, the others only a label")

    def _more_sets(self) -> list[Dataset]:
        options = self.config.classification
        self.labelled_set = open_set("classification.source", options.source, options.split, options.classes)
        return [self.labelled_set]

    @property
    def pictures(self) -> int:
        """How many pictures make an epoch: those with boxes, and the labelled ones that are drawn meanwhile."""
        return round(len(self.dataset) / self._share())

    def fingerprints(self) -> dict[str, str]:
        """As of every task, and of the labelled pictures."""
        return super().fingerprints() | {"classification": self.labelled_set.fingerprint()}

    def _check_images(self) -> None:
        """Raises UserError where a class of the labelled pictures has none."""
        if empty := [repr(name) for name in empty_classes(self.labelled_set)]:
            raise UserError(
                f"{self.labelled_set.spec}: no picture of {', '.join(empty[:5])}{', …' if len(empty) > 5 else ''}; "
                "add some, or leave the class out of classification.classes"
            )

    def _say_what_stays_coarse(self, tree: WordTree) -> None:
        """Warns of classes with boxes below which the tree has names, and neither set a picture: they stay coarse."""
        taught = {above for node in [*self._label_nodes, *self.nodes] for above in tree.ancestors(int(node))}
        pairs = zip(self.dataset.classes, self.nodes.tolist(), strict=True)
        alone = [name for name, node in pairs if not tree.leaves[node] and node not in taught]
        if alone:
            some = ", ".join(alone[:NAMES_IN_MESSAGE]) + (", …" if len(alone) > NAMES_IN_MESSAGE else "")
            logger.warning(
                f"{len(alone)} of the {len(self.dataset.classes)} classes with boxes have classes below them in the "
                f"tree, but no picture of these, so they are boxed and never named more finely: {some}"
            )

    def _share(self) -> Fraction:
        """The share of the pictures drawn that have boxes."""
        from yolo9000_jax.data.mixture import detection_share

        return detection_share(len(self.dataset), len(self.labelled_set), self.config.classification.ratio)

    def batches(self, start: int, stop: int, size: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """This process's batches of the steps; see data.mixture.joint_batches."""
        from yolo9000_jax.data.mixture import joint_batches

        place = (jax.process_index(), jax.process_count())
        return joint_batches(self.dataset, self.labelled_set, self.at_size(size), start, stop, self.max_boxes, *place)

    def records(self, step: int) -> list[Record]:
        """The records in the batch of a step."""
        return [dataset[index] for dataset, index in self._places(step)]

    def labelled_records(self, step: int) -> list[Record]:
        """Those of the classification set."""
        return [dataset[index] for dataset, index in self._places(step) if dataset is self.labelled_set]

    def _places(self, step: int) -> list[tuple[Dataset, int]]:
        """The data set and the index in it of each picture in the batch of a step."""
        from yolo9000_jax.data.mixture import joint_records

        return joint_records(self.dataset, self.labelled_set, self.config, step)

    def blank_batch(self, size: int) -> dict[str, np.ndarray]:
        """A batch of this process's shape, all zeros: to compile with."""
        batch = super().blank_batch(size)
        return batch | {"image_labels": np.zeros(len(batch["images"]), np.int32)}

    def image_labels(self, batch: Any) -> jax.Array:
        """The node of each picture that has a label and no boxes, -1 of the others."""
        labels = batch["image_labels"]
        return jnp.where(labels >= 0, jnp.asarray(self._label_nodes)[labels], -1)

    def caption(self, batch: dict[str, np.ndarray], row: int) -> str:
        """The label of a picture that has no boxes."""
        label = batch["image_labels"][row]
        return f"a label only: {self.labelled_set.classes[label]}" if label >= 0 else "boxes"
