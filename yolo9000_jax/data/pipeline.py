"""The training input: batches as a pure function of (seed, step).

The examples of a run are counted from 0, over all steps and epochs: that is the `counter` of an example.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from collections.abc import Callable, Iterable, Iterator  # noqa: E402

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
from yolo9000_jax.data.records import Dataset  # noqa: E402
from yolo9000_jax.data.table import GroundTruth, Table, is_constant, starts_of  # noqa: E402
from yolo9000_jax.images import reading  # noqa: E402

tf.config.set_visible_devices([], "GPU")  # the accelerators belong to JAX

CACHE_BYTES = 2 << 30  # of a rendered data set that is kept in memory
NO_PIXELS = np.zeros((0, 0, 3), np.uint8)

Batch = dict[str, np.ndarray]
# (labels of some pictures, what each is called) -> what is learnt of them, boxes_xyxy in fractions of the picture
Annotations = Callable[[GroundTruth, Callable[[int], str]], GroundTruth]
Example = tuple[tf.Tensor, tf.Tensor, tf.Tensor]  # image, boxes_xyxy, labels
Load = Callable[[tf.Tensor], Example]


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
    read = boxed_reader(dataset, config)

    def example(counter: tf.Tensor, size: tf.Tensor) -> dict[str, tf.Tensor]:
        return detection_example(*read(counter), counter, size, config, max_boxes)

    return batches_of(example, config, start_step, stop_step, process_index, process_count)


def classification_batches(
    dataset: Dataset,
    config: ConfigDict,
    start_step: int,
    stop_step: int,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """As `detection_batches`, of pictures with one label each: images, colour, and labels int32 [b]."""
    read = labelled_reader(dataset, config)

    def example(counter: tf.Tensor, size: tf.Tensor) -> dict[str, tf.Tensor]:
        image, label = read(counter)
        uniform = _draws(config, counter)
        if config.augment.geometry == "rotate_crop":
            cropped = augment.rotate_crop(image, uniform, config.augment, size)
        else:
            cropped = augment.resample(image, _window(image, uniform, config), size)
        return {"images": cropped, "colour": augment.sample_colour(uniform, config.augment), "labels": label}

    return batches_of(example, config, start_step, stop_step, process_index, process_count)


def batches_of(
    example: Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]],
    config: ConfigDict,
    start_step: int,
    stop_step: int,
    process_index: int,
    process_count: int,
) -> Iterator[Batch]:
    """Batches of `example(counter, size)`, a dict of the tensors of one example at this input size."""
    share = config.batch_size // process_count
    first = process_index * share
    sizes = tf.constant(config.multi_scale or (config.image_size,), tf.int32)
    seed = tf.constant(config.seed, tf.int64)

    def step_examples(step: tf.Tensor) -> tf.data.Dataset:
        draw = tf.random.stateless_uniform(
            [], tf.stack([seed, -1 - step // config.multi_scale_every]), maxval=len(sizes), dtype=tf.int32
        )
        counters = step * config.batch_size + tf.range(first, first + share, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((counters, tf.repeat(sizes[draw], share)))

    batches = (
        tf.data.Dataset.range(start_step, stop_step)
        .flat_map(step_examples)
        .map(example, num_parallel_calls=os.cpu_count(), deterministic=True)
        .batch(share, drop_remainder=True)
        .prefetch(2)
    )
    # TensorFlow's tuner leaves nothing to gain here, and an iterator that has one may take a minute to be deleted:
    # a run that was told to stop, and has saved itself, then hangs.
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options).as_numpy_iterator()


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


def boxed_reader(dataset: Dataset, config: ConfigDict) -> Load:
    """counter (int64) -> (image uint8 [H, W, 3], boxes_xyxy [N, 4] fractions of the picture, labels [N])."""
    difficult = config.data.include_difficult

    def annotations(truth: GroundTruth, name: Callable[[int], str]) -> GroundTruth:
        keep = (~truth.difficult | difficult) & truth.boxed
        number = np.bincount(np.repeat(np.arange(len(truth)), truth.labels_of)[keep], minlength=len(truth))
        sides = np.repeat(np.tile(truth.sizes_wh, 2).astype(np.float32), truth.boxes_of, axis=0)
        boxes = (truth.boxes_xyxy / sides)[keep[truth.boxed]]
        return GroundTruth(truth.sizes_wh, boxes, truth.labels[keep], truth.difficult[keep], number, number)

    return _reader(dataset, config.seed, annotations)


def labelled_reader(dataset: Dataset, config: ConfigDict) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """counter (int64) -> (image uint8 [H, W, 3], label int32), of a data set whose pictures have one label each."""

    def annotations(truth: GroundTruth, name: Callable[[int], str]) -> GroundTruth:
        if (truth.labels_of != 1).any():
            odd = int(np.argmax(truth.labels_of != 1))
            raise UserError(f"{name(odd)}: has {truth.labels_of[odd]} labels; a classifier learns from folders:DIR")
        return GroundTruth.one_label_each(truth.sizes_wh, truth.labels)

    load = _reader(dataset, config.seed, annotations)

    def read(counter: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, _, labels = load(counter)
        return image, labels[0]

    return read


def _reader(dataset: Dataset, seed: int, annotations: Annotations) -> Load:
    table = dataset.table
    load = _from_records(dataset, annotations) if table is None else _from_files(table, annotations)
    return lambda counter: load(_record_at(counter, tf.constant(seed, tf.int64), len(dataset)))


def batch_records(dataset: Dataset, config: ConfigDict, step: int) -> list[int]:
    """Indexes of the records in the batch of `step`: who is to blame when it cannot be read."""
    return records_at(dataset, config.seed, range(step * config.batch_size, (step + 1) * config.batch_size))


def records_at(dataset: Dataset, seed: int, counters: Iterable[int]) -> list[int]:
    """Indexes of the records of these examples."""
    as_tensor, count = tf.constant(seed, tf.int64), len(dataset)
    return [int(_record_at(tf.constant(counter, tf.int64), as_tensor, count)) for counter in counters]


def _record_at(counter: tf.Tensor, seed: tf.Tensor, count: int) -> tf.Tensor:
    """Index (int64) of the record of this example: each epoch is a permutation of the `count` records."""
    epoch, position = counter // count, counter % count
    return tf.random.experimental.index_shuffle(position, tf.stack([seed, epoch]), tf.constant(count - 1, tf.int64))


def _from_files(table: Table, annotations: Annotations) -> Load:
    """index -> (image uint8 [H, W, 3], boxes_xyxy [N, 4], labels [M]), by tables in memory: no Python while it runs."""
    truth = annotations(table.truth, table.name)
    boxes, labels = tf.constant(truth.boxes_xyxy), tf.constant(truth.labels.astype(np.int32))
    boxes_of, labels_of = _parts(truth.boxes_of), _parts(truth.labels_of)
    path, plain = _paths(table), tf.constant(table.plain)

    def load(index: tf.Tensor) -> Example:
        data = tf.io.read_file(path(index))
        return decode(data, plain[index]), boxes[boxes_of(index)], labels[labels_of(index)]

    return load


def _parts(counts: np.ndarray) -> Callable[[tf.Tensor], slice]:
    """index -> where its items are, if each picture has so many."""
    if is_constant(counts) and len(counts):
        return lambda index: slice(index * int(counts[0]), (index + 1) * int(counts[0]))
    ends = tf.constant(starts_of(counts))
    return lambda index: slice(ends[index], ends[index + 1])


def _paths(table: Table) -> Callable[[tf.Tensor], tf.Tensor]:
    """index -> the path of a picture, as bytes: it may be no UTF-8. They are put together when they are asked for."""
    folders, folder_of = tf.constant(list(table.folders), tf.string), tf.constant(table.folder_of)
    files = table.files
    blob, starts, lengths = tf.constant(files.blob.tobytes()), tf.constant(files.starts), tf.constant(files.lengths)

    def path(index: tf.Tensor) -> tf.Tensor:
        file = tf.strings.substr(blob, starts[index], tf.cast(lengths[index], tf.int64))
        return folders[folder_of[index]] + file

    return path


def _from_records(dataset: Dataset, annotations: Annotations) -> Load:
    """The same for records that are made as they are asked for.

    What is drawn is kept where all pictures of the set fit into CACHE_BYTES; files are kept by the operating system.
    """
    kept: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    small = dataset.rendered and _size(dataset) <= CACHE_BYTES

    def fetch(index: np.ndarray) -> tuple[bytes, np.bool_, np.ndarray, np.ndarray, np.ndarray]:
        number = int(index)
        if number in kept:
            return b"", np.bool_(False), *kept[number]
        record = dataset[number]
        truth = annotations(GroundTruth.of([record]), lambda _: record.name)
        boxes, labels = truth.boxes_xyxy, truth.labels
        if record.encoded is not None:
            return record.encoded(), np.bool_(record.plain), NO_PIXELS, boxes, labels
        image = record.read()
        if small:
            kept[number] = image, boxes, labels
        return b"", np.bool_(False), image, boxes, labels

    def load(index: tf.Tensor) -> Example:
        types = [tf.string, tf.bool, tf.uint8, tf.float32, tf.int32]
        data, is_plain, image, boxes, labels = tf.numpy_function(fetch, [index], types, stateful=False)
        data, is_plain = tf.ensure_shape(data, []), tf.ensure_shape(is_plain, [])
        image = tf.cond(tf.strings.length(data) > 0, lambda: decode(data, is_plain), lambda: image)
        return (
            tf.ensure_shape(image, [None, None, 3]),
            tf.ensure_shape(boxes, [None, 4]),
            tf.ensure_shape(labels, [None]),
        )

    return load


def decode(data: tf.Tensor, is_plain: tf.Tensor) -> tf.Tensor:
    """The bytes of a picture file -> uint8 [H, W, 3], the same pixels as `images.reading.decode` gives.

    JPEG and PNG are decoded by TensorFlow's own operation (whose default for JPEG is faster and less exact), unless
    there is more to them than any decoder sees: `is_plain` is what the file's header says (`images.reading.Header`).
    The others, and all other formats, go through Pillow.
    """
    image = tf.cond(
        is_plain,
        lambda: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"),  # which takes PNG as well
        lambda: tf.numpy_function(lambda content: reading.decode(content, "a picture"), [data], tf.uint8),
    )
    return tf.ensure_shape(image, [None, None, 3])


def _size(dataset: Dataset, sample: int = 20) -> float:
    """Bytes of all pictures of a data set, guessed from the first ones."""
    first = [dataset[index] for index in range(min(sample, len(dataset)))]
    return len(dataset) * sum(3 * record.width * record.height for record in first) / max(len(first), 1)
