"""The training input: batches as a pure function of (seed, step)."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np  # noqa: E402

from yolo9000_jax.errors import UserError  # noqa: E402

try:
    import tensorflow as tf
except ImportError:
    raise UserError(
        "training reads its data with TensorFlow: pip install yolo9000_jax[demo], [tpu] or [cuda]"
    ) from None

from yolo9000_jax.data import augment  # noqa: E402
from yolo9000_jax.data.records import Dataset  # noqa: E402

tf.config.set_visible_devices([], "GPU")  # the accelerators belong to JAX

CACHE_BYTES = 2 << 30  # of a rendered data set that is kept in memory


def detection_batches(
    dataset: Dataset, config, start_step: int, max_boxes: int, process_index: int = 0, process_count: int = 1
):
    """Yields the batch of each step from `start_step` on, the same for the same (seed, step) whenever it is asked.

    Every epoch is a permutation of the records seeded by (seed, epoch); all random numbers of an example are seeded by
    (seed, its place in the run). A process reads only its own share of each batch.

    Yields dicts of arrays, b = batch_size / process_count, T = max_boxes, S the step's size:
        images uint8 [b, S, S, 3]; colour float32 [b, 3] for `colour.distort`; boxes_cxcywh float32 [b, T, 4] fractions
        of the input; labels int32 [b, T]; mask bool [b, T].
    """
    read = boxed_reader(dataset, config)

    def example(place, size):
        return detection_example(*read(place), place, size, config, max_boxes)

    return batches_of(example, config, start_step, process_index, process_count)


def classification_batches(dataset: Dataset, config, start_step: int, process_index: int = 0, process_count: int = 1):
    """As `detection_batches`, of pictures with one label each: images, colour, and labels int32 [b]."""
    read = labelled_reader(dataset, config)

    def example(place, size):
        image, label = read(place)
        uniform = _draws(config, place)
        if config.augment.geometry == "rotate_crop":
            cropped = augment.rotate_crop(image, uniform, config.augment, size)
        else:
            cropped = augment.resample(image, _window(image, uniform, config), size)
        return {"images": cropped, "colour": augment.sample_colour(uniform, config.augment), "labels": label}

    return batches_of(example, config, start_step, process_index, process_count)


def batches_of(example, config, start_step: int, process_index: int, process_count: int):
    """Batches of `example(place, size)`, a dict of tensors for each place of the run, counted from 0."""
    share = config.batch_size // process_count
    first = process_index * share
    sizes = tf.constant(config.multi_scale or (config.image_size,), tf.int32)
    seed = tf.constant(config.seed, tf.int64)

    def step_examples(step):
        draw = tf.random.stateless_uniform(
            [], tf.stack([seed, -1 - step // config.multi_scale_every]), maxval=len(sizes), dtype=tf.int32
        )
        places = step * config.batch_size + tf.range(first, first + share, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((places, tf.repeat(sizes[draw], share)))

    batches = (
        tf.data.Dataset.range(start_step, config.steps)
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


def detection_example(image, boxes_xyxy, labels, place, size, config, max_boxes: int) -> dict:
    """One picture as the network sees it: the entries of `detection_batches`, without the batch's axis."""
    uniform = _draws(config, place)
    window = _window(image, uniform, config)
    boxes, keep = augment.move_boxes(boxes_xyxy, window)
    boxes, labels = tf.boolean_mask(boxes, keep)[:max_boxes], tf.boolean_mask(labels, keep)[:max_boxes]
    count, side = tf.shape(boxes)[0], boxes[:, 2:] - boxes[:, :2]
    cxcywh = tf.concat([boxes[:, :2] + side / 2, side], 1)
    return {
        "images": augment.resample(image, window, size),
        "colour": augment.sample_colour(uniform, config.augment),
        "boxes_cxcywh": tf.ensure_shape(tf.pad(cxcywh, [[0, max_boxes - count], [0, 0]]), [max_boxes, 4]),
        "labels": tf.ensure_shape(tf.pad(labels, [[0, max_boxes - count]]), [max_boxes]),
        "mask": tf.range(max_boxes) < count,
    }


def _draws(config, place):
    seed = tf.constant(config.seed, tf.int64)
    return tf.random.stateless_uniform([augment.DRAWS], tf.stack([seed, place]))


def _window(image, uniform, config):
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    return augment.sample_window(uniform, config.augment, width, height)


def boxed_reader(dataset: Dataset, config):
    """place (int64) -> (image uint8 [H, W, 3], boxes_xyxy [N, 4] fractions of the picture, labels [N])."""
    difficult = config.data.include_difficult

    def annotations(record):
        keep = ~record.difficult | difficult
        sides = np.float32([record.width, record.height] * 2)
        return (record.boxes_xyxy[keep] / sides).astype(np.float32), record.labels[keep].astype(np.int32)

    return _reader(dataset, config.seed, annotations)


def labelled_reader(dataset: Dataset, config):
    """place (int64) -> (image uint8 [H, W, 3], label int32), of a data set whose pictures have one label each."""

    def annotations(record):
        if len(record.labels) != 1:
            raise UserError(f"{record.name}: has {len(record.labels)} labels; a classifier learns from folders:DIR")
        return np.zeros((0, 4), np.float32), record.labels.astype(np.int32)

    load = _reader(dataset, config.seed, annotations)

    def read(place):
        image, _, labels = load(place)
        return image, labels[0]

    return read


def _reader(dataset: Dataset, seed: int, annotations):
    load = (_rendered if dataset.rendered else _from_files)(dataset, annotations)
    return lambda place: load(_record_at(place, tf.constant(seed, tf.int64), len(dataset)))


def batch_records(dataset: Dataset, config, step: int) -> list[int]:
    """Indexes of the records in the batch of `step`: who is to blame when it cannot be read."""
    return records_at(dataset, config.seed, range(step * config.batch_size, (step + 1) * config.batch_size))


def records_at(dataset: Dataset, seed: int, places) -> list[int]:
    """Indexes of the records at these places of the run."""
    seed, count = tf.constant(seed, tf.int64), len(dataset)
    return [int(_record_at(tf.constant(place, tf.int64), seed, count)) for place in places]


def _record_at(place, seed, count: int):
    """Index of the record (int64) at this place of the run: each epoch is a permutation of the `count` records."""
    epoch, position = place // count, place % count
    return tf.random.experimental.index_shuffle(position, tf.stack([seed, epoch]), tf.constant(count - 1, tf.int64))


def fullest(dataset: Dataset, sample: int = 1000) -> int:
    """Boxes of the fullest of the first `sample` records if the set is rendered, else of all records; at least 1."""
    count = min(sample, len(dataset)) if dataset.rendered else len(dataset)
    return max((len(dataset[index].labels) for index in range(count)), default=1) or 1


def _from_files(dataset: Dataset, annotations):
    """index -> (image uint8 [H, W, 3], boxes_xyxy [N, 4], labels [M]), the annotations by tables in memory."""
    boxes, labels = zip(*map(annotations, dataset), strict=True)
    box_ends, label_ends = (tf.constant(np.cumsum([0, *map(len, rows)]), tf.int64) for rows in (boxes, labels))
    boxes, labels = tf.constant(np.concatenate(boxes)), tf.constant(np.concatenate(labels))
    paths = tf.constant([record.image for record in dataset])

    def load(index):
        data = tf.io.read_file(paths[index])
        # TensorFlow reads no TIFF, and reads the palette numbers of a BMP as grey: Pillow decodes all but these two.
        image = tf.cond(
            tf.reduce_any(tf.strings.substr(data, 0, 3) == [b"\xff\xd8\xff", b"\x89PN"]),
            lambda: tf.io.decode_image(data, channels=3, expand_animations=False),
            lambda: tf.numpy_function(lambda i: dataset[int(i)].read(), [index], tf.uint8, stateful=False),
        )
        return (
            tf.ensure_shape(image, [None, None, 3]),
            boxes[box_ends[index] : box_ends[index + 1]],
            labels[label_ends[index] : label_ends[index + 1]],
        )

    return load


def _rendered(dataset: Dataset, annotations):
    """The same for records that are made as they are read; a set that fits into CACHE_BYTES is kept once it is made."""
    kept, small = {}, _size(dataset) <= CACHE_BYTES

    def draw(index):
        index = int(index)
        if index in kept:
            return kept[index]
        record = dataset[index]
        made = record.read(), *annotations(record)
        if small:
            kept[index] = made
        return made

    def load(index):
        image, boxes, labels = tf.numpy_function(draw, [index], [tf.uint8, tf.float32, tf.int32], stateful=False)
        return (
            tf.ensure_shape(image, [None, None, 3]),
            tf.ensure_shape(boxes, [None, 4]),
            tf.ensure_shape(labels, [None]),
        )

    return load


def _size(dataset: Dataset, sample: int = 20) -> float:
    """Bytes of all pictures of a data set, guessed from the first ones."""
    first = [dataset[index] for index in range(min(sample, len(dataset)))]
    return len(dataset) * sum(3 * record.width * record.height for record in first) / max(len(first), 1)
