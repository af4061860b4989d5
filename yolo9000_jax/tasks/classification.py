"""Classification: a trunk with a classifier's head on pictures with one label each (paper, section 3)."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.darknet.building import build_model
from yolo9000_jax.data.table import Record
from yolo9000_jax.evaluation import Evaluation, evaluate
from yolo9000_jax.evaluation.detection import EXAMPLES
from yolo9000_jax.losses.classification import softmax_loss, tree_softmax_loss
from yolo9000_jax.tasks.task import (
    Preview,
    Task,
    blank_pictures,
    check_classes,
    check_judged,
    check_sizes,
    describe,
    open_set,
    training_options,
)
from yolo9000_jax.tasks.trees import by_number, nodes_of, open_tree
from yolo9000_jax.wordtree.softmax import class_probabilities
from yolo9000_jax.workdir.facts import Facts


class Classification(Task):
    """A classifier; with a tree, one softmax for each group of siblings on the label's path.

    Args:
        config: a complete one.
        facts: of the run that this carries on; None: they are settled now.
    """

    def __init__(self, config: Any, facts: Facts | None = None):
        check_sizes(config)
        self.config = config
        self.dataset = open_set("data.source", config.data.source, config.data.split, config.data.classes)
        self.tree = facts.network.tree if facts else open_tree(config.model.tree, self.dataset)
        tree = self.tree
        self.dataset = by_number(self.dataset, tree, config)
        self.nodes = np.arange(len(self.dataset.classes)) if tree is None else nodes_of(self.dataset, tree)
        if facts:
            check_classes(facts, self.dataset, None if tree is None else self.nodes)
        source = config.evaluation.source or config.data.source
        own = tree is not None and source == config.data.source
        classes = config.evaluation.classes or (() if own else self.dataset.classes)
        learnt = not config.evaluation.classes
        self.evaluation_set = open_set("evaluation.source", source, config.evaluation.split, classes, learnt)
        self.evaluation_set = by_number(self.evaluation_set, tree, config)
        check_judged(config, self.evaluation_set, self.dataset)
        synsets = self.dataset.synsets if any(self.dataset.synsets) else None
        settled: dict[str, Any] = {"classes": self.dataset.classes, "synsets": synsets}
        if tree is not None:
            settled = {"classes": tree.names, "synsets": tree.synsets, "tree": tree}
        self.network = describe(config, **settled)
        self.model = build_model(self.network, **training_options(config))

    def batches(self, start: int, stop: int, size: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """This process's batches of the steps; see data.pipeline.classification_batches."""
        from yolo9000_jax.data.pipeline import classification_batches

        place = (jax.process_index(), jax.process_count())
        return classification_batches(self.dataset, self.at_size(size), start, stop, *place)

    def records(self, step: int) -> list[Record]:
        """The records in the batch of a step."""
        from yolo9000_jax.data.pipeline import batch_records

        return [self.dataset[index] for index in batch_records(self.dataset, self.config, step)]

    def labelled_records(self, step: int) -> list[Record]:
        """All of them."""
        return self.records(step)

    def blank_batch(self, size: int) -> dict[str, np.ndarray]:
        """A batch of this process's shape, all zeros: to compile with."""
        pictures = blank_pictures(self.config, size)
        return pictures | {"labels": np.zeros(len(pictures["images"]), np.int32)}

    def loss(
        self, params: Any, batch_stats: Any, batch: Any, step: jax.Array, part: jax.Array | int = 0
    ) -> tuple[jax.Array, Any]:
        """As of every task."""
        logits, batch_stats = self.apply(params, batch_stats, batch, step, part)
        labels = jnp.asarray(self.nodes)[batch["labels"]]
        if self.tree is None:
            loss = softmax_loss(logits, labels)
        else:
            loss = tree_softmax_loss(logits, labels, self.tree)
        best = jnp.argmax(class_probabilities(logits, self.tree), axis=-1)
        return loss, ({"loss": loss, "accuracy": jnp.mean(best == labels)}, batch_stats)

    def evaluate(self, model: Any, examples: int = EXAMPLES) -> Evaluation:
        """The evaluation of a Classifier on the evaluation set."""
        return evaluate(model, self.evaluation_set, batch_size=self.config.evaluation.batch_size)

    def preview(self, batch: dict[str, np.ndarray]) -> list[Preview]:
        """The first pictures of a batch with their classes."""
        none = np.zeros((0, 4), np.float32)
        pictures = zip(self.pixels(batch), batch["labels"], strict=False)
        return [Preview(image, none, none[:, 0], [], self.dataset.classes[label]) for image, label in pictures]
