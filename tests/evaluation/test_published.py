"""Small published networks on real pictures reach the numbers that they are known for."""

import pytest

import yolo9000_jax as y9
from tests.helpers import data_dir
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.evaluation import evaluate

VOC = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant sheep "
    "sofa train tvmonitor"
)


def files(data, name, labels=""):
    """A network's cfg and weights, and a names file, from the folders `weights` and `labels` beside the data's."""
    root = data.parent.parent
    paths = [root / "weights" / f"{name}.cfg", root / "weights" / f"{name}.weights", root / "labels" / labels]
    if not all(path.exists() for path in paths):
        pytest.skip(f"no {name}, or no {labels}, beside the data")
    return paths


def test_a_detector_on_coco128():
    data = data_dir("coco128")
    cfg, weights, _ = files(data, "tiny-yolov2-trial3")
    detector = y9.load_darknet(cfg, weights, VOC.split())
    detector.resize = "stretch"
    found = evaluate(detector, open_source(f"yolo:{data / 'data.yaml'}", "val")).metrics
    assert found["voc_ap50"] == pytest.approx(0.200, abs=0.005)
    assert found["images"] == 128 and len(found["per_class"]) == 20 and len(found["left_out"]) == 60


@pytest.mark.parametrize("labels", ["imagenet.labels.list", "imagenet1k_darknet_order.tsv"])
def test_a_classifier_on_imagenet(labels):
    data = data_dir("imagenet_samples")
    classifier = y9.load_darknet(*files(data, "tiny", labels))
    found = evaluate(classifier, open_source(f"folders:{data}")).metrics
    assert found["top1"] == pytest.approx(0.560, abs=0.0101) and found["top5"] == pytest.approx(0.830, abs=0.0101)
    assert found["images"] == 200 and "left_out" not in found
