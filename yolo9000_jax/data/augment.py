"""Augmentation: random numbers, the one resample, and the boxes that follow the picture (SPEC 9)."""

import tensorflow as tf

GREY = 127.0
DRAWS = 11  # uniform random numbers that one example uses
MIN_SIDE = 0.001  # a box whose visible part is smaller, as a share of the input, is dropped (SPEC 9)


def sample_window(uniform, options, width, height):
    """The window of the picture that becomes the network's input, as (x0, y0, x1, y1) in fractions of the picture.

    It may reach outside the picture, where the input is grey, and is mirrored if x0 > x1. `options` is config.augment:
    "crop" moves each edge by up to jitter (SPEC 9, the YOLOv1 loader; the paper's random crops); "place" changes the
    aspect by jitter and lays the whole picture on grey (SPEC 9); "none" takes the whole picture.
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


def sample_colour(uniform, options):
    """Hue shift, saturation factor, exposure factor [3] (SPEC 9); applied on the device by `colour.distort`."""

    def factor(limit, amount, invert):
        chosen = 1 + amount * (limit - 1)
        return tf.where(invert < 0.5, 1 / chosen, chosen)

    hue = (2 * uniform[6] - 1) * options.hue
    saturation = factor(options.saturation, uniform[7], uniform[8])
    exposure = factor(options.exposure, uniform[9], uniform[10])
    return tf.stack([hue, saturation, exposure])


def resample(image, window, size):
    """The window (fractions of the picture) of uint8 [H, W, 3] as uint8 [size, size, 3]: one bilinear resample."""
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    x0, y0, x1, y1 = tf.unstack(window)
    step_x, step_y = (x1 - x0) * width / tf.cast(size, tf.float32), (y1 - y0) * height / tf.cast(size, tf.float32)
    # Output pixel c has its centre at (c + 0.5) steps into the window; source pixel i has its centre at i + 0.5.
    start_x, start_y = x0 * width + 0.5 * step_x - 0.5, y0 * height + 0.5 * step_y - 0.5
    transform = tf.stack([step_x, 0.0, start_x, 0.0, step_y, start_y, 0.0, 0.0])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=transform[None],
        output_shape=tf.stack([size, size]),
        fill_value=GREY,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]


def move_boxes(boxes_xyxy, window):
    """Boxes [N, 4] in fractions of the picture -> (boxes_xyxy [N, 4] in fractions of the window, clipped; keep [N])."""
    low, side = window[:2], window[2:] - window[:2]
    corners = (tf.reshape(boxes_xyxy, [-1, 2, 2]) - low) / side
    corners = tf.clip_by_value(tf.stack([tf.reduce_min(corners, 1), tf.reduce_max(corners, 1)], 1), 0.0, 1.0)
    boxes = tf.reshape(corners, [-1, 4])
    keep = tf.reduce_all(boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE, 1)
    return boxes, keep
