"""Reading and resizing pictures."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from yolo9000_jax.boxes import decode as boxes
from yolo9000_jax.errors import UserError
from yolo9000_jax.images import reading, resizing


def read(path: str) -> np.ndarray:
    return reading.decode(path)


def decode(data: bytes, name: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data), formats=reading.FORMATS) as image:
            return to_rgb(image)
    except Exception as error:
        raise UserError(f"{name} is not a picture this program reads ({error}): fetch or convert it") from None


def to_rgb(image: Image.Image) -> np.ndarray:
    return reading._to_rgb(image)


@dataclass(frozen=True)
class Resize:
    way: str = "letterbox"
    sampling: str = "darknet"

    def __post_init__(self) -> None:
        if self.sampling not in ("darknet", "half_pixel"):
            raise UserError(f"sampling {self.sampling!r}: choose darknet or half_pixel")

    def apply(self, image: np.ndarray, width: int, height: int) -> np.ndarray:
        if self.way == "crop":
            if width != height:
                raise UserError(
                    f"resize 'crop' makes squares, the network takes {width}x{height}: choose letterbox or stretch"
                )
            return resizing.center_crop(image, width)
        return {"letterbox": resizing.letterbox, "stretch": resizing.stretch}[self.way](image, width, height)

    def to_picture(
        self, boxes_cxcywh: np.ndarray, image_wh: tuple[int, int], net_wh: tuple[int, int], clip: bool = True
    ) -> np.ndarray:
        if self.way == "letterbox":
            return boxes.unletterbox(boxes_cxcywh, image_wh, net_wh, clip=clip)
        return boxes.unstretch(boxes_cxcywh, image_wh, clip=clip)
