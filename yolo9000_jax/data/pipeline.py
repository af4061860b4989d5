"""The training input: batches as a pure function of (seed, step).

The examples of a run are counted from 0, over all steps and epochs: that is the `counter` of an example.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from collections.abc import Callable, Iterable, Iterator  # noqa: E402
from typing import NamedTuple  # noqa: E402

import numpy as np  # noqa: E402
from ml_collections import ConfigDict  # noqa: E402

from yolo9000_jax.errors import UserError  # noqa: E402

try:
    import tensorflow as tf
except ImportError:
    raise UserError(
        "training reads its data with TensorFlow: pip install yolo9000_jax[demo], [tpu] or [cuda]"
    ) from None

from yolo9000_jax.data import augment  # noqa: E402
from yolo9000_jax.data.loading import loader  # noqa: E402
from yolo9000_jax.data.records import Dataset  # noqa: E402
from yolo9000_jax.data.table import Record  # noqa: E402

tf.config.set_visible_devices([], "GPU")  # the accelerators belong to JAX

INDEX_SHUFFLE = np.int64(498247692)  # what TensorFlow puts before a seed of that
# Whose bytes Python fetches at once, as a store may be slow: batches at most, and pictures, which are kept in memory.
BATCHES_AHEAD, PICTURES_AHEAD = min(os.cpu_count() or 1, 16), 2048

Batch = dict[str, np.ndarray]


class Reader(NamedTuple):
    """A `loading.Loader` that goes by counters (int64 [K], int64) in place of indexes; `read` is what it loads."""

    fetch: Callable[[tf.Tensor], tf.Tensor]
    read: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]]


def detection_batches(
    dataset: Dataset,
    config: ConfigDict,
    start_step: int,
    stop_step: int,
    max_boxes: int,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """Yields the batch of each step from `start_step` to before `stop_step`, always the same for the same (seed, step).

    Every epoch is a permutation of the records seeded by (seed, epoch); all random numbers of an example are seeded by
    (seed, its counter). A process reads only its own share of each batch.

    Yields dicts of arrays, b = batch_size / process_count, T = max_boxes, S the step's size:
        images uint8 [b, S, S, 3]; colour float32 [b, 3] for `colour.distort`; boxes_cxcywh float32 [b, T, 4] fractions
        of the input; labels int32 [b, T]; mask bool [b, T].
    """
    fetch, read = boxed_reader(dataset, config)

    def example(counter: tf.Tensor, fetched: tf.Tensor, size: tf.Tensor) -> dict[str, tf.Tensor]:
        image, boxes_xyxy, labels = read(counter, fetched)
        return detection_example(image, boxes_xyxy, labels, counter, size, config, max_boxes)

    return batches_of(fetch, example, config, start_step, stop_step, process_index, process_count)


def classification_batches(
    dataset: Dataset,
    config: ConfigDict,
    start_step: int,
    stop_step: int,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """As `detection_batches`, of pictures with one label each: images, colour, and labels int32 [b]."""
    fetch, read = labelled_reader(dataset, config)

    def example(counter: tf.Tensor, fetched: tf.Tensor, size: tf.Tensor) -> dict[str, tf.Tensor]:
        image, label = read(counter, fetched)
        uniform = _draws(config, counter)
        if config.augment.geometry == "rotate_crop":
            cropped = augment.rotate_crop(image, uniform, config.augment, size)
        else:
            cropped = augment.resample(image, _window(image, uniform, config), size)
        return {"images": cropped, "colour": augment.sample_colour(uniform, config.augment), "labels": label}

    return batches_of(fetch, example, config, start_step, stop_step, process_index, process_count)


def batches_of(
    fetch: Callable[[tf.Tensor], tf.Tensor],
    example: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], dict[str, tf.Tensor]],
    config: ConfigDict,
    start_step: int,
    stop_step: int,
    process_index: int,
    process_count: int,
) -> Iterator[Batch]:
    """Batches of `example(counter, fetched, size)`, a dict of the tensors of one example at this input size.

    `fetched` is the row of the counter in what `fetch` gives for all counters of a batch (see `loading.Loader`).
    """
    share = config.batch_size // process_count
    first = process_index * share
    sizes = tf.constant(config.multi_scale or (config.image_size,), tf.int32)
    seed = tf.constant(config.seed, tf.int64)

    def step_examples(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        draw = tf.random.stateless_uniform(
            [], tf.stack([seed, -1 - step // config.multi_scale_every]), maxval=len(sizes), dtype=tf.int32
        )
        counters = step * config.batch_size + tf.range(first, first + share, dtype=tf.int64)
        return counters, fetch(counters), tf.repeat(sizes[draw], share)

    batches = (
        tf.data.Dataset.range(start_step, stop_step)
        .map(step_examples, num_parallel_calls=batches_ahead(share), deterministic=True)
        .flat_map(lambda *columns: tf.data.Dataset.from_tensor_slices(columns))
        .map(example, num_parallel_calls=os.cpu_count(), deterministic=True)
        .batch(share, drop_remainder=True)
        .prefetch(2)
    )
    # TensorFlow's tuner leaves nothing to gain here, and an iterator that has one may take a minute to be deleted:
    # a run that was told to stop, and has saved itself, then hangs.
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options).as_numpy_iterator()


def batches_ahead(share: int) -> int:
    """How many batches of `share` pictures are fetched at once."""
    return max(1, min(BATCHES_AHEAD, PICTURES_AHEAD // max(share, 1)))


def detection_example(
    image: tf.Tensor,
    boxes_xyxy: tf.Tensor,
    labels: tf.Tensor,
    counter: tf.Tensor,
    size: tf.Tensor,
    config: ConfigDict,
    max_boxes: int,
) -> dict[str, tf.Tensor]:
    """One picture as the network sees it: the entries of `detection_batches`, without the batch's axis."""
    uniform = _draws(config, counter)
    window = _window(image, uniform, config)
    boxes, keep = augment.move_boxes(boxes_xyxy, window)
    chosen = _some(tf.where(keep)[:, 0], max_boxes, config, counter)
    boxes, labels = tf.gather(boxes, chosen), tf.gather(labels, chosen)
    count, side = tf.shape(boxes)[0], boxes[:, 2:] - boxes[:, :2]
    cxcywh = tf.concat([boxes[:, :2] + side / 2, side], 1)
    return {
        "images": augment.resample(image, window, size),
        "colour": augment.sample_colour(uniform, config.augment),
        "boxes_cxcywh": tf.ensure_shape(tf.pad(cxcywh, [[0, max_boxes - count], [0, 0]]), [max_boxes, 4]),
        "labels": tf.ensure_shape(tf.pad(labels, [[0, max_boxes - count]]), [max_boxes]),
        "mask": tf.range(max_boxes) < count,
    }


def _some(places: tf.Tensor, most: int, config: ConfigDict, counter: tf.Tensor) -> tf.Tensor:
    """At most so many of the places [N], in their order; which, this example's number draws anew in every epoch."""
    seed = tf.stack([tf.constant(config.seed, tf.int64), counter])
    seed = tf.random.experimental.stateless_fold_in(seed, 1)  # other numbers than those of `_draws`
    order = tf.argsort(tf.random.stateless_uniform(tf.shape(places), seed))
    return tf.gather(places, tf.sort(order[:most]))


def _draws(config: ConfigDict, counter: tf.Tensor) -> tf.Tensor:
    seed = tf.constant(config.seed, tf.int64)
    return tf.random.stateless_uniform([augment.DRAWS], tf.stack([seed, counter]))


def _window(image: tf.Tensor, uniform: tf.Tensor, config: ConfigDict) -> tf.Tensor:
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    return augment.sample_window(uniform, config.augment, width, height)


def boxed_reader(dataset: Dataset, config: ConfigDict) -> Reader:
    """Reads image uint8 [H, W, 3], boxes_xyxy [N, 4] fractions of the picture, labels [N]."""
    fetch, load = _reader(dataset, config.seed)

    def read(counter: tf.Tensor, fetched: tf.Tensor) -> tuple[tf.Tensor, ...]:
        image, boxes, labels, difficult = load(counter, fetched)
        count = tf.shape(boxes)[0]  # a picture with a label and no box has none
        boxes /= tf.cast(tf.tile(tf.shape(image)[1::-1], [2]), tf.float32)
        if config.data.include_difficult:
            return image, boxes, labels[:count]
        keep = ~difficult[:count]
        return image, tf.boolean_mask(boxes, keep), tf.boolean_mask(labels[:count], keep)

    return Reader(fetch, read)


def labelled_reader(dataset: Dataset, config: ConfigDict) -> Reader:
    """Reads image uint8 [H, W, 3] and label int32, of a data set whose pictures have one label each."""
    # Of a lazy set the first shows what is wrong with all; one that differs is found by `Task.find_unreadable`.
    truth = dataset[:1].ground_truth() if dataset.table is None else dataset.table.truth
    if (truth.labels_of != 1).any():
        raise UserError(str(label_complaint(dataset[int(np.argmax(truth.labels_of != 1))])))
    fetch, load = _reader(dataset, config.seed)

    def read(counter: tf.Tensor, fetched: tf.Tensor) -> tuple[tf.Tensor, ...]:
        image, _, labels, _ = load(counter, fetched)
        return image, tf.ensure_shape(labels, [1])[0]

    return Reader(fetch, read)


def label_complaint(record: Record) -> str | None:
    """What is wrong with a record that is to have one label; None: nothing."""
    count = len(record.labels)
    return None if count == 1 else f"{record.name}: has {count} labels; a classifier learns from folders:DIR"


def _reader(dataset: Dataset, seed: int) -> Reader:
    fetch, load = loader(dataset)

    def index(counter: tf.Tensor) -> tf.Tensor:
        return _record_at(counter, tf.constant(seed, tf.int64), len(dataset))

    def fetch_all(counters: tf.Tensor) -> tf.Tensor:
        # A shuffle of no indexes is refused.
        return tf.cond(tf.size(counters) > 0, lambda: fetch(index(counters)), lambda: tf.fill([0, 2], ""))

    return Reader(fetch_all, lambda counter, fetched: load(index(counter), fetched))


def batch_records(dataset: Dataset, config: ConfigDict, step: int) -> list[int]:
    """Indexes of the records in the batch of `step`: who is to blame when it cannot be read."""
    return records_at(dataset, config.seed, range(step * config.batch_size, (step + 1) * config.batch_size))


def records_at(dataset: Dataset, seed: int, counters: Iterable[int]) -> list[int]:
    """Indexes of the records of these examples."""
    as_tensor, count = tf.constant(seed, tf.int64), len(dataset)
    return [int(_record_at(tf.constant(counter, tf.int64), as_tensor, count)) for counter in counters]


def _record_at(counter: tf.Tensor, seed: tf.Tensor, count: int) -> tf.Tensor:
    """Index (int64) of the record of this example, or [K] of K: each epoch is a permutation of the `count` records."""
    epoch, position = counter // count, counter % count
    # As tf.random.experimental.index_shuffle does it, which gets a seed for each of K wrong.
    seeds = tf.stack([tf.fill(tf.shape(epoch), value) for value in (INDEX_SHUFFLE, seed)] + [epoch], -1)
    most = tf.constant(count - 1, tf.int64)
    return tf.raw_ops.RandomIndexShuffle(index=position, seed=seeds, max_index=most, rounds=4)
