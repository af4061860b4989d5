"""YOLOv2, the paper's detector (section 2)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from yolo9000_jax.errors import UserError
from yolo9000_jax.models.darknet19 import Darknet19Trunk
from yolo9000_jax.models.extraction import ExtractionTrunk
from yolo9000_jax.models.layers import BatchNormOptions, Conv, reorg, scaled, space_to_depth
from yolo9000_jax.models.trunk import check_images, choose, names_after
from yolo9000_jax.shapes import check_shapes

STRIDE = 32
# By its name, a trunk and how many 3x3 convolutions follow it.
TRUNKS = {"darknet19": (Darknet19Trunk, 3), "extraction": (ExtractionTrunk, 4)}
HEAD_INITS = ("darknet", "calm")
PASSTHROUGHS = ("paper", "darknet", "none")
# Priors of Darknet's yolov2-voc.cfg (w, h in cells of 32 pixels), darknet.md 14 item 12.
VOC_ANCHORS_CELLS = (
    (1.3221, 1.73145),
    (3.19275, 4.00944),
    (5.05587, 8.09892),
    (9.47112, 4.84053),
    (11.2364, 10.0071),
)


class YoloV2(nn.Module):
    """A trunk, 3x3 convolutions with the passthrough before the last of them, and a 1x1 convolution to the boxes.

    Attributes:
      num_classes: classes of each box.
      anchors_cells: A priors (w, h) in cells of 32 pixels.
      width: multiplies every layer's filters.
      passthrough: how the fine 1/16 features reach the head. "paper": all 512 channels, neighbours stacked to 2048
        (paper, "Fine-Grained Features"; as wide as that of yolo-voc.2.0.cfg). "darknet": a 1x1 convolution to 64, then
        reorg, which is no stacking of neighbours (yolov2-voc.cfg; darknet.md 4.5). "none": not at all.
      trunk: "darknet19", with three more convolutions; or "extraction", with four: YOLOv1 up to its last convolution,
        less one halving of the resolution (the stride of conv22), as the paper's row "convolutional" has it (section
        2, "Convolutional With Anchor Boxes").
      head_convolutions: False leaves out the 3x3 convolutions between the trunk and the last layer, and the passthrough
        with them, as Darknet's yolo9000.cfg does (darknet.md 14).
      norm: batch norm of the convolutions; None means biases instead.
      head_init: how the last layer starts. "darknet": like every other, normal with a variance of 2 over its inputs and
        no bias, so that boxes and objectness begin at random. "calm", ours: every box is its prior with an objectness
        of about .1, which a network that was not pre-trained needs (otherwise the many empty boxes drive the sigmoid of
        the objectness flat before it has seen anything), and which hides how unsteady the "offset" form begins.
    """

    num_classes: int = 20
    anchors_cells: Sequence[tuple[float, float]] = VOC_ANCHORS_CELLS
    width: float = 1.0
    passthrough: str = "paper"
    trunk: str = "darknet19"
    head_convolutions: bool = True
    norm: BatchNormOptions | None = BatchNormOptions()
    head_init: str = "darknet"
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    remat: bool = False  # see Trunk

    def __post_init__(self) -> None:
        check_shapes("YoloV2", anchors_cells=(self.anchors_cells, "A 2"))
        anchors = tuple(tuple(map(float, anchor)) for anchor in self.anchors_cells)  # so that it can be hashed
        object.__setattr__(self, "anchors_cells", anchors)
        super().__post_init__()

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """images [B, H, W, 3] in 0..1 -> raw grid [B, H/32, W/32, A, 5 + num_classes] in float32.

        The last axis holds x, y, w, h, objectness and the classes, all before activation. Raises UserError where a
        side of the images is not a multiple of 32.
        """
        check_images("YoloV2", images)
        height, width = images.shape[1:3]
        if height % STRIDE or width % STRIDE or not height or not width:
            raise UserError(f"images of {height}x{width}: both sides must be multiples of {STRIDE}; resize them first")
        if self.passthrough not in PASSTHROUGHS:
            raise UserError(f"passthrough is {self.passthrough!r}; it can be {', '.join(PASSTHROUGHS)}")
        if self.head_init not in HEAD_INITS:
            raise UserError(f"head_init is {self.head_init!r}; it can be {', '.join(HEAD_INITS)}")
        options: dict[str, Any] = dict(norm=self.norm, dtype=self.dtype, param_dtype=self.param_dtype)
        conv: Callable[..., Conv] = partial(Conv, **options)
        wide = scaled(1024, self.width)
        trunk, count = choose(TRUNKS, self.trunk, "trunk")
        *names, last = names_after(trunk, count)
        fine, x = trunk(self.width, remat=self.remat, name="trunk", **options)(images, train)
        if self.head_convolutions:
            for name in names:
                x = conv(wide, name=name)(x, train)
            if self.passthrough == "paper":
                x = jnp.concatenate([space_to_depth(fine), x], axis=-1)
            elif self.passthrough == "darknet":
                side = conv(scaled(64, self.width), 1, name="passthrough")(fine, train)
                x = jnp.concatenate([reorg(side), x], axis=-1)
            x = conv(wide, name=last)(x, train)
        anchors, entries = len(self.anchors_cells), 5 + self.num_classes
        start: dict[str, Any] = {}
        if self.head_init == "calm":
            start = {"kernel_init": nn.initializers.normal(0.01), "bias_init": _prior_bias(entries)}
        x = Conv(anchors * entries, 1, activation=None, name="boxes", **options | {"norm": None} | start)(x, train)
        return x.reshape(*x.shape[:3], anchors, entries).astype(self.param_dtype)


def _prior_bias(entries: int) -> Callable[..., jax.Array]:
    """Biases of the last layer with which every box is its prior, with an objectness of about .1."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        return jnp.zeros(shape, dtype).reshape(-1, entries).at[:, 4].set(-2).reshape(shape)

    return init
