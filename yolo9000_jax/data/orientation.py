"""Boxes and pixels turned from a picture as it is stored to the picture as EXIF asks a viewer to show it.

An orientation is EXIF's number, 1 to 8: the stored picture is mirrored along x, along y, or both, and then has its x
and y exchanged where the number is 5 or more.
"""

import numpy as np

from yolo9000_jax.images.pixels import SWAPPED

MIRRORED_X = (False, False, True, True, False, False, False, True, True)  # by orientation; 0 stands for nothing
MIRRORED_Y = (False, False, False, True, True, False, True, True, False)


def upright_boxes(boxes_xyxy: np.ndarray, width: int, height: int, orientation: int) -> np.ndarray:
    """Boxes of the stored picture as those of the picture shown.

    Args:
        boxes_xyxy: float [N, 4], pixels of the stored picture.
        width, height: of the stored picture, pixels.
        orientation: EXIF's, 1 to 8.

    Returns:
        [N, 4], pixels of the picture shown. A box whose far corner lies before its near one is still such a box.
    """
    x0, y0, x1, y1 = boxes_xyxy.T
    if MIRRORED_X[orientation]:
        x0, x1 = width - x1, width - x0
    if MIRRORED_Y[orientation]:
        y0, y1 = height - y1, height - y0
    return np.stack([y0, x0, y1, x1] if orientation in SWAPPED else [x0, y0, x1, y1], axis=1)
