"""Parameters and operations: against formulas, against what `darknet ops` prints, and for every kind of layer."""

import flax.linen as nn
import jax.numpy as jnp
import pytest

from yolo9000_jax.models.cost import cost
from yolo9000_jax.models.darknet19 import Darknet19
from yolo9000_jax.models.extraction import Extraction
from yolo9000_jax.models.layers import Connected, Conv, Local
from yolo9000_jax.models.yolo_v1 import YoloV1
from yolo9000_jax.models.yolo_v2 import YoloV2


@pytest.mark.parametrize(
    ("module", "size", "operations"),
    [
        (Darknet19(), 256, 7290748928),
        (Extraction(), 224, 8518680576),
        (YoloV1(trunk="tiny", head="direct"), 448, 3216030720),
        (YoloV2(num_classes=20, passthrough="darknet"), 416, 29360334848),  # yolov2-voc.cfg
        (YoloV2(num_classes=80, passthrough="darknet"), 608, 62938253312),
        # Darknet leaves out the local layer: 256 filters of 3x3x1024 at 7x7 places.
        (YoloV1(head="local", boxes_per_cell=3), 448, 40190248448 + 2 * 256 * 9 * 1024 * 49),
    ],
)
def test_what_darknet_prints(module, size, operations):
    assert cost(module, size).gflop == operations / 1e9


def test_the_papers_numbers():
    assert cost(Darknet19(), 224).gflop == pytest.approx(5.58, abs=0.005)


def test_both_passthroughs():
    """34.90 is what Darknet's authors give for YOLOv2 on VOC (yolo-voc.2.0.cfg), 29.36 the count of yolov2-voc.cfg."""
    assert cost(YoloV2(), 416).gflop == pytest.approx(34.90, abs=0.005)
    assert cost(YoloV2(), 544).gflop == pytest.approx(59.68, abs=0.005)
    assert cost(YoloV2(passthrough="darknet"), 416).gflop == pytest.approx(29.36, abs=0.005)


class Layers(nn.Module):
    """A convolution, a local and two connected layers."""

    @nn.compact
    def __call__(self, images, train=False):
        x = Conv(8, 3, 2)(images, train)
        x = Local(4, 3, 1, 1, x.shape[1:3])(x)
        return Connected(7)(Connected(5)(x))


def test_every_layer_counts():
    height, width = 6, 10
    places = (height // 2) * (width // 2)
    products = [8 * 9 * 3 * places, 4 * 9 * 8 * places, 4 * places * 5, 5 * 7]
    found = cost(Layers(), (height, width))
    assert round(found.gflop * 1e9) == 2 * sum(products)
    assert found.parameters == 8 * 9 * 3 + 2 * 8 + places * (4 * 9 * 8 + 4) + (4 * places + 1) * 5 + (5 + 1) * 7


def test_nothing_is_allocated():
    """A network of 4 PB."""
    assert cost(nn.Dense(1 << 48, param_dtype=jnp.float32), 1).parameters == 4 << 48
