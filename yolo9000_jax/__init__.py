"""YOLOv2 and YOLO9000 in JAX and Flax: `import yolo9000_jax as y9`.

    detector = y9.load("workdir")     # what `yolo9000 train` left there
    detector = y9.load_darknet("yolov2-voc.cfg", "yolov2-voc.weights", names="voc.names")
    result = detector("dog.jpg")      # boxes, scores, labels; shows itself in a notebook

Names are imported when they are first used, so that importing the package is quick.
"""

import importlib

_HOMES = {
    "Darknet19": "models.darknet19",
    "YoloV2": "models.yolo_v2",
    "Classifier": "predict.classifier",
    "Detector": "predict.detector",
    "Result": "predict.result",
    "load": "predict.loading",
    "load_darknet": "predict.loading",
    "train": "training.loop",
    "WordTree": "wordtree.tree",
    "open_source": "data.sources",
    "region_loss": "losses.region",
    "decode": "boxes.decode",
    "nms": "boxes.nms",
    "priors": "boxes.priors",
    "config": "config",
    "UserError": "errors",
}
_MODULES = ("decode", "nms", "priors", "config")
__all__ = sorted(_HOMES)
__version__ = "0.1.0"


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_HOMES})
