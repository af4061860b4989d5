"""What all tasks share."""

import jax
import jax.numpy as jnp
import numpy as np

from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError
from yolo9000_jax.images import colour
from yolo9000_jax.models.yolo_v2 import STRIDE
from yolo9000_jax.training.step import AXIS

SHOWN = 16  # pictures of the first batch


class Task:
    """Base of the tasks: `config` with everything settled, `model`, `tree` or None, and the data sets.

    A subclass has `metric`, the name of the number that decides which state is the best, and the methods `batches`,
    `blank_batch`, `loss`, `evaluate`, `draw_batch` and `records` of `Detection`.
    """

    tree = None

    def init(self, seed: int):
        """Fresh variables."""
        side = self.config.image_size
        return jax.jit(self.model.init)(jax.random.key(seed), jnp.zeros((1, side, side, 3)))

    def sizes(self) -> list[int]:
        """Input sizes of the run, the largest first."""
        return sorted(set(self.config.multi_scale or (self.config.image_size,)), reverse=True)

    def inputs(self, batch):
        """The network's input [B, S, S, 3] in 0..1, colours changed."""
        return colour.distort(batch["images"].astype(jnp.float32) / 255, *jnp.moveaxis(batch["colour"], -1, 0))

    def apply(self, params, batch_stats, batch, step):
        """The network on a training batch: (its output, the new running statistics)."""
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(self.config.seed), step), jax.lax.axis_index(AXIS))
        output, mutated = self.model.apply(
            {"params": params, "batch_stats": batch_stats},
            self.inputs(batch),
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": key},
        )
        return output, mutated.get("batch_stats", {})

    def blame(self, step: int) -> str | None:
        """What is wrong with the pictures of a step's batch: the first line of complaint, or None."""
        for record in self.records(step):
            try:
                record.read()
            except UserError as error:
                return str(error)
        return None

    def pixels(self, batch) -> np.ndarray:
        """The first pictures of a batch as the network sees them: uint8 [N, S, S, 3]."""
        shown = {key: batch[key][:SHOWN] for key in ("images", "colour")}
        return np.uint8(np.rint(255 * np.asarray(jax.jit(self.inputs)(shown))))


def blank_pictures(config, size: int) -> dict:
    """The pictures of a batch of this process's shape, all zeros."""
    share = config.batch_size // jax.process_count()
    return {"images": np.zeros((share, size, size, 3), np.uint8), "colour": np.zeros((share, 3), np.float32)}


def check_sizes(config, stride: int = STRIDE) -> None:
    """Raises UserError unless every input size is a multiple of the network's stride."""
    evaluation = (config.evaluation.image_size,) if config.evaluation.image_size else ()
    for size in (config.image_size, *config.multi_scale, *evaluation):
        if size < stride or size % stride:
            raise UserError(f"image_size {size}: an input size must be a multiple of {stride}")


def open_set(key: str, source: str, split: str, classes, say):
    """The data set that the config's `key` names; what is in it is told to `say`."""
    if not source:
        raise UserError(f"{key} is empty: say where the data are, e.g. --config.{key}=voc:DIR")
    dataset = open_source(source, split, classes or None)
    say(f"{source} {split}: {len(dataset)} pictures, {len(dataset.classes)} classes")
    for note in dataset.notes:
        say(f"  {note}")
    return dataset
