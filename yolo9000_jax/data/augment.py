"""Augmentation: random numbers, the one resample, and the boxes that follow the picture (darknet.md 9)."""

import math

import tensorflow as tf
from ml_collections import ConfigDict

GREY = 127.0
DRAWS = 12  # uniform random numbers that one example uses
REFERENCE_SIZE = 224  # the input that augment.min_crop and max_crop are meant for (darknet.md 11)
MIN_SIDE = 0.001  # a box whose visible part is smaller, as a share of the input, is dropped (darknet.md 9)


def sample_window(uniform: tf.Tensor, options: ConfigDict, width: tf.Tensor, height: tf.Tensor) -> tf.Tensor:
    """The window of the picture that becomes the network's input, as (x0, y0, x1, y1) in fractions of the picture.

    It may reach outside the picture, where the input is grey, and is mirrored if x0 > x1. `options` is config.augment:
    "crop" moves each edge by up to jitter (darknet.md 9, the YOLOv1 loader; the paper's random crops); "place" changes
    the aspect by jitter and lays the whole picture on grey (darknet.md 9); "none" takes the whole picture.
    """
    jitter = options.jitter
    if options.geometry == "crop":
        left, top, right, bottom = tf.unstack((2 * uniform[:4] - 1) * jitter)
        window = tf.stack([left, top, 1 - right, 1 - bottom])
    elif options.geometry == "place":
        aspect = (width * (1 + (2 * uniform[0] - 1) * jitter)) / (height * (1 + (2 * uniform[1] - 1) * jitter))
        patch = tf.stack([tf.minimum(aspect, 1.0), tf.minimum(1 / aspect, 1.0)])
        low = -uniform[2:4] * (1 - patch) / patch
        window = tf.concat([low, low + 1 / patch], 0)
    else:
        window = tf.constant([0.0, 0.0, 1.0, 1.0])
    mirrored = tf.gather(window, [2, 1, 0, 3])
    window = tf.where(uniform[4] < options.flip, mirrored, window)
    upside_down = tf.gather(window, [0, 3, 2, 1])
    return tf.where(uniform[5] < options.flip_vertical, upside_down, window)


def sample_colour(uniform: tf.Tensor, options: ConfigDict) -> tf.Tensor:
    """Hue shift, saturation factor, exposure factor [3] (darknet.md 9); applied on the device by `colour.distort`."""
    hue = (2 * uniform[6] - 1) * options.hue
    saturation = _factor(options.saturation, uniform[7], uniform[8])
    exposure = _factor(options.exposure, uniform[9], uniform[10])
    return tf.stack([hue, saturation, exposure])


def _factor(limit: float, amount: tf.Tensor, invert: tf.Tensor) -> tf.Tensor:
    """Between 1 and the limit, uniformly, or one over that."""
    chosen = 1 + amount * (limit - 1)
    return tf.where(invert < 0.5, 1 / chosen, chosen)


def resample(image: tf.Tensor, window: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """The window (fractions of the picture) of uint8 [H, W, 3] as uint8 [size, size, 3]: one bilinear resample."""
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    x0, y0, x1, y1 = tf.unstack(window)
    step_x, step_y = (x1 - x0) * width / tf.cast(size, tf.float32), (y1 - y0) * height / tf.cast(size, tf.float32)
    # Output pixel c has its centre at (c + 0.5) steps into the window; source pixel i has its centre at i + 0.5.
    start_x, start_y = x0 * width + 0.5 * step_x - 0.5, y0 * height + 0.5 * step_y - 0.5
    return warp(image, tf.stack([step_x, 0.0, start_x, 0.0, step_y, start_y]), size)


def warp(image: tf.Tensor, transform: tf.Tensor, size: tf.Tensor, fill: float = GREY) -> tf.Tensor:
    """uint8 [size, size, 3] from uint8 [H, W, 3], bilinear; what lies outside the picture has the value `fill`.

    Output pixel (x, y) shows the picture at (a x + b y + c, d x + e y + f), both in pixel indices, where
    (a, b, c, d, e, f) is the transform.
    """
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[None],
        transforms=tf.pad(transform, [[0, 2]])[None],
        output_shape=tf.stack([size, size]),
        fill_value=fill,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]
    return tf.cast(warped + 0.5, tf.uint8)


def rotate_crop_transform(
    width: tf.Tensor,
    height: tf.Tensor,
    size: tf.Tensor,
    radians: tf.Tensor,
    scale: tf.Tensor,
    aspect: tf.Tensor,
    dx: tf.Tensor,
    dy: tf.Tensor,
) -> tf.Tensor:
    """Darknet's crop for classifiers (darknet.md 11), as a transform [6] for `warp`; Darknet fills with 0.

    The picture of width x height pixels is turned by `radians` about its centre, widened by scale / aspect and
    heightened by scale; the square of `size` pixels is cut out whose centre lies (dx, dy) of its pixels aside.
    """
    width, height, size = (tf.cast(side, tf.float32) for side in (width, height, size))
    cos, sin = tf.cos(radians), tf.sin(radians)
    step_x, step_y = aspect / scale, 1 / scale
    low_x, low_y = (dx - size / 2) * step_x, (dy - size / 2) * step_y
    return tf.stack(
        [
            cos * step_x, -sin * step_y, cos * low_x - sin * low_y + width / 2,
            sin * step_x, cos * step_y, sin * low_x + cos * low_y + height / 2,
        ]
    )  # fmt: skip


def rotate_crop(image: tf.Tensor, uniform: tf.Tensor, options: ConfigDict, size: tf.Tensor) -> tf.Tensor:
    """Darknet's crop for classifiers of uint8 [H, W, 3], with the options of config.augment: uint8 [size, size, 3]."""
    height, width = tf.unstack(tf.shape(image)[:2])
    transform = sample_rotate_crop(
        tf.gather(uniform, [0, 1, 2, 3, 4, 5, 11]),  # those between are of the colours
        width,
        height,
        size,
        angle=options.angle,
        aspect=options.aspect,
        crop=options.crop,
        min_crop=options.min_crop,
        max_crop=options.max_crop,
        flip=options.flip,
    )
    return warp(image, transform, size, fill=0.0)


def sample_rotate_crop(
    uniform: tf.Tensor,
    width: tf.Tensor,
    height: tf.Tensor,
    size: tf.Tensor,
    *,
    angle: float,
    aspect: float,
    crop: str,
    min_crop: int,
    max_crop: int,
    flip: float,
) -> tf.Tensor:
    """A random transform [6] for `warp` from 7 uniform numbers, with the options of Darknet's [net] (darknet.md 11).

    `angle` in degrees to both sides; `aspect` is the limit of a factor as in `sample_colour`; `flip` is the probability
    of mirroring. The picture's shorter side becomes min_crop to max_crop pixels long before `size` pixels are cut out.
    `crop` says of which input: "darknet" takes them as they are, whatever the size, so that a small input sees little
    of the picture, and one that is larger than the side sees black around it. "relative", ours, takes them of an input
    of REFERENCE_SIZE and in proportion at others, and the side is never shorter than the input: every input sees the
    same shares of a picture, with black at most in the corners that turning leaves. Darknet also shrinks below that.
    """
    width, height, size = (tf.cast(side, tf.float32) for side in (width, height, size))
    factor = _factor(aspect, uniform[0], uniform[1])
    if crop == "relative":
        side = size * tf.maximum((min_crop + uniform[2] * (max_crop - min_crop)) / REFERENCE_SIZE, 1.0)
        scale = side / tf.minimum(height, width / factor)
    else:
        side = tf.floor(min_crop + uniform[2] * (max_crop - min_crop + 1))
        scale = side / tf.where(height < width * factor, height, tf.floor(width * factor))
    radians = (2 * uniform[3] - 1) * angle * (math.pi / 180)
    dx = (2 * uniform[4] - 1) * (width * scale / factor - size) / 2
    dy = (2 * uniform[5] - 1) * (height * scale - size) / 2
    a, b, c, d, e, f = tf.unstack(rotate_crop_transform(width, height, size, radians, scale, factor, dx, dy))
    mirrored = tf.stack([-a, b, c + a * (size - 1), -d, e, f + d * (size - 1)])
    return tf.where(uniform[6] < flip, mirrored, tf.stack([a, b, c, d, e, f]))


def move_boxes(boxes_xyxy: tf.Tensor, window: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes [N, 4] in fractions of the picture -> (boxes_xyxy [N, 4] in fractions of the window, clipped; keep [N])."""
    low, side = window[:2], window[2:] - window[:2]
    corners = (tf.reshape(boxes_xyxy, [-1, 2, 2]) - low) / side
    corners = tf.clip_by_value(tf.stack([tf.reduce_min(corners, 1), tf.reduce_max(corners, 1)], 1), 0.0, 1.0)
    boxes = tf.reshape(corners, [-1, 4])
    keep = tf.reduce_all(boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE, 1)
    return boxes, keep
