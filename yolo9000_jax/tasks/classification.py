"""Classification: a trunk with a classifier's head on pictures with one label each (paper, section 3)."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.config import steps_of
from yolo9000_jax.losses.classification import softmax_loss, tree_softmax_loss
from yolo9000_jax.models.build import build_classifier, build_model
from yolo9000_jax.predict.classifier import probabilities
from yolo9000_jax.tasks.task import Task, blank_pictures, check_sizes, open_set
from yolo9000_jax.tasks.trees import nodes_of, open_tree
from yolo9000_jax.training.step import AXIS


class Classification(Task):
    """A classifier; with a tree, one softmax for each group of siblings on the label's path.

    Making one opens and checks the data; `config` then holds the classes.
    """

    metric = "top1"

    def __init__(self, config, say=print):
        check_sizes(config)
        self._say = say
        self.dataset = open_set("data.source", config.data.source, config.data.split, config.data.classes, say)
        self.tree = open_tree(config.model.tree, self.dataset)
        self.nodes = np.arange(len(self.dataset.classes)) if self.tree is None else nodes_of(self.dataset, self.tree)
        source = config.evaluation.source or config.data.source
        classes = config.evaluation.classes or self.dataset.classes
        self.evaluation_set = open_set("evaluation.source", source, config.evaluation.split, classes, say)
        self.config = config.copy_and_resolve_references()
        self.config.steps, self.config.epochs = steps_of(config, len(self.dataset)), 0.0
        self.config.model.classes = self.dataset.classes
        self.model = build_model(self.config, AXIS, self.tree)

    def batches(self, start_step: int):
        """Batches of every step from `start_step` on; see data.pipeline.classification_batches."""
        from yolo9000_jax.data.pipeline import classification_batches

        return classification_batches(self.dataset, self.config, start_step, jax.process_index(), jax.process_count())

    def records(self, step: int) -> list:
        """The records in the batch of a step."""
        from yolo9000_jax.data.pipeline import batch_records

        return [self.dataset[index] for index in batch_records(self.dataset, self.config, step)]

    def blank_batch(self, size: int):
        """A batch of this process's shape, all zeros: to compile with."""
        pictures = blank_pictures(self.config, size)
        return pictures | {"labels": np.zeros(len(pictures["images"]), np.int32)}

    def loss(self, params, batch_stats, batch, step):
        """The mean loss of a batch: (scalar, (metrics, batch_stats))."""
        logits, batch_stats = self.apply(params, batch_stats, batch, step)
        labels = jnp.asarray(self.nodes)[batch["labels"]]
        if self.tree is None:
            loss = softmax_loss(logits, labels)
        else:
            loss = tree_softmax_loss(logits, labels, self.tree)
        best = jnp.argmax(probabilities(logits, self.tree), axis=-1)
        return loss, ({"loss": loss, "accuracy": jnp.mean(best == labels)}, batch_stats)

    def evaluate(self, variables, report: Path | None = None) -> dict:
        """Metrics of these variables on the evaluation set."""
        from yolo9000_jax.evaluation import classification, hierarchical

        judge = classification.evaluate if self.tree is None else hierarchical.evaluate_tree
        classifier = build_classifier(self.config, variables, self.model, self.tree)
        metrics = judge(classifier, self.evaluation_set, batch_size=self.config.evaluation.batch_size, say=self._say)
        if report:
            report.mkdir(parents=True, exist_ok=True)
            (report / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        return metrics

    def draw_batch(self, batch) -> np.ndarray:
        """A contact sheet of the batch as the network sees it, with its labels: uint8 [H, W, 3]."""
        from yolo9000_jax.report.draw import contact_sheet

        pictures = list(self.pixels(batch))
        captions = [self.dataset.classes[label] for label in batch["labels"][: len(pictures)]]
        return contact_sheet(pictures, columns=min(4, len(pictures)), captions=captions)
