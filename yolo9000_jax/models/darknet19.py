"""Darknet-19, the paper's classification network (section 3, table 6)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from yolo9000_jax.models.layers import BatchNormOptions, Conv
from yolo9000_jax.models.trunk import Trunk, check_images

# (filters, kernel size) of each convolution; a max pool stands between the stages.
STAGES = (
    ((32, 3),),
    ((64, 3),),
    ((128, 3), (64, 1), (128, 3)),
    ((256, 3), (128, 1), (256, 3)),
    ((512, 3), (256, 1), (512, 3), (256, 1), (512, 3)),
    ((1024, 3), (512, 1), (1024, 3), (512, 1), (1024, 3)),
)


class Darknet19Trunk(Trunk):
    """The 18 convolutions before the classifier's last one, shared by classifier and detector.

    images [B, H, W, 3] -> (fine [B, H/16, W/16, 512 width], coarse [B, H/32, W/32, 1024 width]).
    """

    stages = STAGES


class Darknet19(nn.Module):
    """Darknet-19 with its classifier head: a 1x1 convolution to the classes, then the mean over the picture.

    Attributes: as `Darknet19Trunk`, and `num_classes`.
    """

    num_classes: int = 1000
    width: float = 1.0
    norm: BatchNormOptions | None = BatchNormOptions()
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    remat: bool = False  # see Trunk

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """images [B, H, W, 3] in 0..1 -> logits [B, num_classes] in float32."""
        check_images("Darknet19", images)
        options: dict[str, Any] = dict(norm=self.norm, dtype=self.dtype, param_dtype=self.param_dtype)
        _, x = Darknet19Trunk(self.width, remat=self.remat, name="trunk", **options)(images, train)
        x = Conv(self.num_classes, 1, activation=None, name="logits", **options | {"norm": None})(x, train)
        return x.astype(self.param_dtype).mean((1, 2))
