"""YOLOv1's classification network: 20 convolutions, "extraction" in Darknet (YOLOv1 paper, section 2.2)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from yolo9000_jax.models.layers import BatchNormOptions, Conv, leaky_relu
from yolo9000_jax.models.trunk import Trunk, check_images, choose

# How the classifier's last layer ends, before the mean over the picture.
LOGITS = {"linear": None, "leaky": leaky_relu}


class ExtractionTrunk(Trunk):
    """The 20 convolutions that YOLOv1's classifier and detector share.

    images [B, H, W, 3] -> (fine [B, H/16, W/16, 1024 width], coarse [B, H/32, W/32, 1024 width]).
    """

    first_stride = 2
    stages = (
        ((64, 7),),
        ((192, 3),),
        ((128, 1), (256, 3), (256, 1), (512, 3)),
        (*((256, 1), (512, 3)) * 4, (512, 1), (1024, 3)),
        ((512, 1), (1024, 3)) * 2,
    )


class Extraction(nn.Module):
    """YOLOv1's classifier: the trunk, a 1x1 convolution to the classes, the mean over the picture.

    Attributes: as `ExtractionTrunk`, and `num_classes`, and
      logits: "linear", a fully connected layer on the mean of the features, as the YOLOv1 paper has it; "leaky", with
        the activation before the mean that Darknet's extraction.cfg names.
    """

    num_classes: int = 1000
    width: float = 1.0
    logits: str = "linear"
    norm: BatchNormOptions | None = BatchNormOptions()
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    remat: bool = False  # see Trunk

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """images [B, H, W, 3] in 0..1 -> logits [B, num_classes] in float32."""
        activation = choose(LOGITS, self.logits, "logits")
        check_images("Extraction", images)
        options: dict[str, Any] = dict(norm=self.norm, dtype=self.dtype, param_dtype=self.param_dtype)
        _, x = ExtractionTrunk(self.width, remat=self.remat, name="trunk", **options)(images, train)
        x = Conv(self.num_classes, 1, activation=activation, name="logits", **options | {"norm": None})(x, train)
        return x.astype(self.param_dtype).mean((1, 2))
