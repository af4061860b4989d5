"""YOLOv2 and YOLO9000 in JAX and Flax: `import yolo9000_jax as y9`.

    detector = y9.load("workdir")     # what `yolo9000 train` left there
    detector = y9.load_darknet("yolov2-voc.cfg", "yolov2-voc.weights", names="voc.names")
    result = detector("dog.jpg")      # a sequence of detections that shows itself in a notebook
    dataset = y9.open_source("voc:VOCdevkit/VOC2007", "test")
    y9.evaluate(detector, dataset)
    y9.show(y9.sample().image)        # in a notebook; a picture that comes with the package

Names are imported when they are first used, so that importing the package is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names, where type checkers and editors see them
    from yolo9000_jax import config as config
    from yolo9000_jax.boxes import decode as decode
    from yolo9000_jax.boxes import nms as nms
    from yolo9000_jax.boxes import priors as priors
    from yolo9000_jax.boxes.priors import kmeans_priors as kmeans_priors
    from yolo9000_jax.data.sample import sample as sample
    from yolo9000_jax.data.sources import open_source as open_source
    from yolo9000_jax.errors import Stopped as Stopped
    from yolo9000_jax.errors import UserError as UserError
    from yolo9000_jax.evaluation import evaluate as evaluate
    from yolo9000_jax.losses.region import region_loss as region_loss
    from yolo9000_jax.losses.yolo_v1 import yolo_v1_loss as yolo_v1_loss
    from yolo9000_jax.models.darknet19 import Darknet19 as Darknet19
    from yolo9000_jax.models.yolo_v1 import YoloV1 as YoloV1
    from yolo9000_jax.models.yolo_v2 import YoloV2 as YoloV2
    from yolo9000_jax.notebook import show as show
    from yolo9000_jax.notebook import watch as watch
    from yolo9000_jax.predict.classifier import Classifier as Classifier
    from yolo9000_jax.predict.detector import Detector as Detector
    from yolo9000_jax.predict.loading import load as load
    from yolo9000_jax.predict.loading import load_darknet as load_darknet
    from yolo9000_jax.predict.result import Ranking as Ranking
    from yolo9000_jax.predict.result import Result as Result
    from yolo9000_jax.report.history import history as history
    from yolo9000_jax.training.loop import train as train
    from yolo9000_jax.wordtree.build import build_tree as build_tree
    from yolo9000_jax.wordtree.tree import WordTree as WordTree

_HOMES = {
    "Classifier": "predict.classifier",
    "Darknet19": "models.darknet19",
    "Detector": "predict.detector",
    "Ranking": "predict.result",
    "Result": "predict.result",
    "Stopped": "errors",
    "UserError": "errors",
    "WordTree": "wordtree.tree",
    "YoloV1": "models.yolo_v1",
    "YoloV2": "models.yolo_v2",
    "build_tree": "wordtree.build",
    "config": "config",
    "decode": "boxes.decode",
    "evaluate": "evaluation",
    "history": "report.history",
    "kmeans_priors": "boxes.priors",
    "load": "predict.loading",
    "load_darknet": "predict.loading",
    "nms": "boxes.nms",
    "open_source": "data.sources",
    "priors": "boxes.priors",
    "region_loss": "losses.region",
    "sample": "data.sample",
    "show": "notebook",
    "train": "training.loop",
    "watch": "notebook",
    "yolo_v1_loss": "losses.yolo_v1",
}
_MODULES = ("config", "decode", "nms", "priors")
__all__ = sorted(_HOMES)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*_HOMES, *(name for name in globals() if name.startswith("__"))})
