"""What make.py runs: narrow networks of every kind, two trainings, and operations on a picture."""

from typing import Any

import numpy as np

from yolo9000_jax.darknet.native import Native, write_cfg

ANCHORS = "1.6,1.9,2.1,1.7,2.4,2.6,0.7,1.1,3.0,2.2"
VOC = {"anchors": ANCHORS, "bias_match": 1, "classes": 20, "coords": 4, "num": 5, "softmax": 1, "rescore": 1}
VOC |= {"thresh": 0.6, "object_scale": 5, "noobject_scale": 1, "class_scale": 1, "coord_scale": 1}
V1 = {"classes": 3, "coords": 4, "side": 3, "num": 2, "softmax": 0, "sqrt": 1, "rescore": 1}
V1 |= {"object_scale": 1, "noobject_scale": 0.5, "class_scale": 1, "coord_scale": 5}
V1_OUTPUTS = V1["side"] ** 2 * (V1["classes"] + 5 * V1["num"])
T33 = {"tree": "data/t33.tree"}
TREE = {
    "anchors": "0.8,1.1,2.0,2.3,3.2,1.5",
    "classes": 33,
    "coords": 4,
    "num": 3,
    "softmax": 1,
    **T33,
}
TINY = [(16, 2), (32, 2), (64, 2), (128, 2), (256, 2), (512, 1)]  # filters, and the stride of the pool behind them


def _net(width: int, height: int, **options: Any) -> dict[str, Any]:
    return {"batch": 1, "subdivisions": 1, "width": width, "height": height, "channels": 3, **options}


def _tiny(width: int, height: int, region: dict[str, Any]) -> str:
    """Tiny YOLOv2, a sixteenth as wide; its last pool keeps the size."""
    block = "[convolutional]\nbatch_normalize=1\nfilters={}\nsize=3\nstride=1\npad=1\nactivation=leaky\n\n"
    pool = "[maxpool]\nsize=2\nstride={}\n\n"
    outputs = region["num"] * (5 + region["classes"])
    text = "[net]\n" + "".join(f"{key}={value}\n" for key, value in _net(width, height).items()) + "\n"
    text += "".join(block.format(max(4, filters // 16)) + pool.format(stride) for filters, stride in TINY)
    text += 2 * block.format(64)
    text += f"[convolutional]\nfilters={outputs}\nsize=1\nstride=1\npad=1\nactivation=linear\n\n"
    return text + "[region]\n" + "".join(f"{key}={value}\n" for key, value in region.items())


def _ours(network: Native, net: dict[str, Any], kind: str, options: dict[str, Any] | None = None) -> str:
    return write_cfg(network, net, (kind, options or {}))


THIN = 1 / 16
YOLO_V2 = Native("detection", VOC["num"] * (5 + VOC["classes"]), THIN)
PLAIN_V2 = Native("detection", TREE["num"] * (5 + TREE["classes"]), THIN, head_convolutions=False, passthrough="none")
YOLO_V1 = {
    "yolov1-s16": {"trunk": "extraction", "head": "local", "hidden": 4},
    "yolov1-paper-s16": {"trunk": "extraction", "hidden": 24, "batch_norm": False},
    "yolov1-tiny-s16": {"trunk": "tiny", "head": "direct", "dropout": 0.0},
}
STEPS = {"learning_rate": 0.01, "momentum": 0.9, "decay": 0.0005}
SMALL = {"architecture": "yolo_v1", "trunk": "tiny", "head": "local", "hidden": 4, "dropout": 0.0}

CFGS = {
    "yolov2-voc-s16": _ours(YOLO_V2, _net(96, 96), "region", VOC),
    "yolov2-voc-s16-160x96": _ours(YOLO_V2, _net(160, 96), "region", VOC),
    "yolov2-tiny-voc-s16": _tiny(128, 96, VOC),
    "tiny-logistic-s16": _tiny(96, 128, VOC | {"softmax": 0, "classes": 4}),
    "yolo9000-s16-t33": _ours(PLAIN_V2, _net(96, 96), "region", TREE),
    **{
        name: _ours(
            Native("detection", V1_OUTPUTS, THIN, architecture="yolo_v1", **options), _net(192, 192), "detection", V1
        )
        for name, options in YOLO_V1.items()
    },
    "darknet19-s16": _ours(Native("classification", 50, THIN), _net(96, 96), "softmax"),
    "darknet9000-s16-t33": _ours(Native("classification", 33, THIN), _net(96, 96), "softmax", T33),
    "extraction-s16": _ours(Native("classification", 50, THIN, trunk="extraction"), _net(96, 96), "softmax"),
    **{
        f"train_{name}": _ours(
            Native("detection", V1_OUTPUTS, 1 / 64, **SMALL, batch_norm=norm),
            _net(128, 128, **STEPS, policy="steps", steps="300,301", scales=".5,.1") | {"batch": 2},
            "detection",
            V1,
        )
        for name, norm in (("detector", False), ("normed", True))
    },
    "train_classifier": _ours(
        Native("classification", 10, 1 / 64, batch_norm=False),
        _net(64, 64, **STEPS, policy="poly", power=4, max_batches=1000) | {"batch": 3},
        "softmax",
    ),
}

# Name: threshold of the detections, None where there are none; how many layers at the end Darknet's CPU cannot run.
NETS = {
    "yolov2-voc-s16": (0.04, 0),
    "yolov2-voc-s16-160x96": (0.04, 0),
    "yolov2-tiny-voc-s16": (0.04, 0),
    "tiny-logistic-s16": (0.4, 0),
    "yolo9000-s16-t33": (None, 1),
    "yolov1-s16": (0.05, 0),
    "yolov1-paper-s16": (0.05, 0),
    "yolov1-tiny-s16": (0.2, 0),
    "darknet19-s16": (None, 0),
    "darknet9000-s16-t33": (None, 0),
    "extraction-s16": (None, 0),
}


def _cells(*pictures: list[tuple[int, ...]]) -> np.ndarray:
    """Truth of YOLOv1 from rows (cell, class, x, y, w, h in hundredths): [pictures, cells, 1 + C + 4]."""
    truth = np.zeros((len(pictures), V1["side"] ** 2, 5 + V1["classes"]), np.float32)
    for rows, cells in zip(pictures, truth, strict=True):
        for cell, label, *box in rows:
            cells[cell, 0] = cells[cell, 1 + label] = 1
            cells[cell, -4:] = np.array(box, np.float32) / 100
    return truth


DETECTOR = {
    "weights_seed": 11,
    "batch": 2,
    "side": 128,
    "bn_mode": "none",
    "tolerance": 3e-5,  # float32
    "seen_before_first_step": 598,
    "truth": _cells([(0, 0, 75, 35, 34, 60), (5, 1, 10, 10, 40, 50)], [(1, 2, 28, 60, 35, 35)]),
}
TRAININGS = {
    "detector": DETECTOR,
    "normed_bn_cpu": DETECTOR | {"bn_mode": "cpu"},
    "classifier": {
        "weights_seed": 11,
        "batch": 3,
        "side": 64,
        "bn_mode": "none",
        "tolerance": 3e-5,
        "seen_before_first_step": 300,
        "truth": np.eye(10, dtype=np.float32)[[2, 7, 2]],
    },
}

OPERATIONS = {
    "letterbox_32x32": {"w": 32, "h": 32},
    "letterbox_40x96": {"w": 40, "h": 96},
    "letterbox_100x60": {"w": 100, "h": 60},
    "resize_20x31": {"w": 20, "h": 31},
    "resize_100x77": {"w": 100, "h": 77},
    "resize_64x20": {"w": 64, "h": 20},
    "place_0": {"nw": 32, "nh": 24.3, "dx": 0, "dy": 5.8, "w": 32, "h": 32},
    "place_1": {"nw": 21.7, "nh": 32, "dx": 7.4, "dy": 0, "w": 32, "h": 32},
    "place_2": {"nw": 44, "nh": 38, "dx": -4.5, "dy": 3.5, "w": 32, "h": 32},
    "distort_0": {"hue": 0.08, "saturation": 1.4, "exposure": 0.7},
    "distort_1": {"hue": -0.0873, "saturation": 0.8, "exposure": 1.35},
    "distort_2": {"hue": 0.0, "saturation": 1.0, "exposure": 1.0},
    "distort_gray": {"hue": 0.06, "saturation": 1.3, "exposure": 1.2, "note": "input: red plane copied to all three"},
    "flip": {},
    "rotate_crop_0": {"rad": 0.0, "scale": 0.65, "w": 24, "h": 24, "dx": 2.5, "dy": -1.0, "aspect": 1.0},
    "rotate_crop_1": {"rad": 0.08, "scale": 0.75, "w": 32, "h": 32, "dx": -2.0, "dy": 3.0, "aspect": 1.15},
    "rotate_crop_2": {"rad": -0.11, "scale": 1.1, "w": 28, "h": 28, "dx": 5.0, "dy": 3.5, "aspect": 0.9},
    "center_crop_32": {"w": 32, "h": 32},
}
