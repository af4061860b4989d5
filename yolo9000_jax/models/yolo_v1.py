"""YOLOv1, the first rows of the paper's table 2 (Redmon et al., "You Only Look Once", section 2.1; darknet.md 12)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import ScopeParamShapeError

from yolo9000_jax.errors import UserError
from yolo9000_jax.models.extraction import ExtractionTrunk
from yolo9000_jax.models.layers import BatchNormOptions, Connected, Conv, Local, scaled
from yolo9000_jax.models.trunk import Trunk, check_images, choose, names_after

STRIDE = 64


class TinyTrunk(Trunk):
    """The first six convolutions of Fast YOLO, Darknet's yolov1-tiny.cfg; its last stage is a bare max pool.

    images [B, H, W, 3] -> (fine [B, H/32, W/32, 512 width], coarse [B, H/64, W/64, 512 width]).
    """

    stages = (((16, 3),), ((32, 3),), ((64, 3),), ((128, 3),), ((256, 3),), ((512, 3),), ())


# By its name, a trunk and (filters, stride) of the 3x3 convolutions that follow it.
TRUNKS = {
    "extraction": (ExtractionTrunk, ((1024, 1), (1024, 2), (1024, 1), (1024, 1))),
    "tiny": (TinyTrunk, ((1024, 1), (256, 1))),
}
# Units, or filters, of the layer before the last, at width 1.
HEADS = {"connected": 4096, "local": 256, "direct": 0}


class YoloV1(nn.Module):
    """A trunk, 3x3 convolutions that see 1/64 of the resolution, and layers that see the whole picture at once.

    Attributes:
      num_classes: classes of each cell.
      side: rows and columns of the grid that is laid over the picture.
      boxes_per_cell: boxes of each cell.
      width: multiplies every layer's filters and units.
      trunk: "extraction", or "tiny" (Fast YOLO).
      head: between the convolutions and the last, fully connected layer stands "connected", a fully connected layer of
        4096 units (the YOLOv1 paper); "local", a 3x3 layer of 256 filters not shared by the positions (Darknet's
        yolov1.cfg); or "direct", nothing (Darknet's yolov1-tiny.cfg).
      hidden: units, or filters, of that layer; 0: those numbers times `width`.
      dropout: share of its outputs that training drops, by the generator "dropout".
      norm: batch norm of the convolutions (the paper's row "batch norm"); None means biases instead.
    """

    num_classes: int = 20
    side: int = 7
    boxes_per_cell: int = 2
    width: float = 1.0
    trunk: str = "extraction"
    head: str = "connected"
    hidden: int = 0
    dropout: float = 0.5
    norm: BatchNormOptions | None = BatchNormOptions()
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    remat: bool = False  # see Trunk

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """images [B, H, W, 3] in 0..1 -> vector [B, side * side * (num_classes + 5 * boxes_per_cell)] in float32.

        Its parts are those of decode.split_yolo_v1, with no activation. Raises UserError for images of another size
        than the parameters were made with.
        """
        check_images("YoloV1", images)
        options: dict[str, Any] = dict(dtype=self.dtype, param_dtype=self.param_dtype)
        conv: Callable[..., Conv] = partial(Conv, norm=self.norm, **options)
        trunk, convolutions = choose(TRUNKS, self.trunk, "trunk")
        _, x = trunk(self.width, norm=self.norm, remat=self.remat, name="trunk", **options)(images, train)
        for name, (filters, stride) in zip(names_after(trunk, len(convolutions)), convolutions, strict=True):
            x = conv(scaled(filters, self.width), 3, stride, name=name)(x, train)
        try:
            x = self._head(x, train, options)
        except ScopeParamShapeError as error:
            size = f"{images.shape[1]}x{images.shape[2]}"
            raise UserError(f"images of {size}: this YOLOv1 was made for another size, and takes no other") from error
        return x[:, 0, 0].astype(self.param_dtype)

    def _head(self, x: jax.Array, train: bool, options: dict[str, Any]) -> jax.Array:
        units = choose(HEADS, self.head, "head")
        hidden = self.hidden or scaled(units, self.width)
        if self.head == "connected":
            x = Connected(hidden, name="hidden", **options)(x, train)
        elif self.head == "local":
            x = Local(hidden, 3, 1, 1, (x.shape[1], x.shape[2]), name="hidden", **options)(x)
        if self.head != "direct":
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        start: dict[str, Any] = {"kernel_init": nn.initializers.normal(0.01), "bias_init": self._start}
        features = self.side**2 * (self.num_classes + 5 * self.boxes_per_cell)
        return Connected(features, None, name="output", **options, **start)(x, train)

    def _start(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        """Biases of the last layer: every box in the middle of its cell, of half the picture's root width and height.

        Darknet has zeros, from which a cell whose boxes are seldom responsible takes long to come.
        """
        boxes = 4 * self.side**2 * self.boxes_per_cell
        return jnp.zeros(shape, dtype).at[-boxes:].set(0.5)
