"""A tiny data set in the VOC layout, and a config that trains a very narrow YOLOv2 on it in seconds."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from yolo9000_jax import config as configs

CLASSES = ("disc", "rectangle")
XML = (
    "<annotation><filename>{name}.jpg</filename><size><width>{width}</width><height>{height}</height></size>"
    "<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
    "<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object></annotation>"
)


def make_voc(folder: Path, pictures: int = 8, width: int = 96, height: int = 96) -> str:
    """Writes pictures of one red disc or one green rectangle on noise, splits train and val; returns the SOURCE."""
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(7)
    for number in range(pictures):
        noise = Image.fromarray(rng.integers(90, 160, (height, width, 3), np.uint8))
        x, y = rng.integers(2, width // 2), rng.integers(2, height // 2)
        box = (x, y, x + rng.integers(28, width // 2 - 4), y + rng.integers(28, height // 2 - 4))
        draw, disc = ImageDraw.Draw(noise), number % 2 == 0
        (draw.ellipse if disc else draw.rectangle)([int(v) for v in box], fill=(220, 30, 30) if disc else (30, 200, 60))
        noise.save(folder / f"JPEGImages/{number}.jpg", quality=95)
        values = {"name": number, "width": width, "height": height, "label": CLASSES[0 if disc else 1]}
        (folder / f"Annotations/{number}.xml").write_text(XML.format(box=[v + 1 for v in box], **values))
    names = "".join(f"{number}\n" for number in range(pictures))
    (folder / "ImageSets/Main/train.txt").write_text(names)
    (folder / "ImageSets/Main/val.txt").write_text(names)
    return f"voc:{folder}"


def tiny_config(source: str):
    """Six steps at two sizes; on one device batch norm shared over the devices is the ordinary one."""
    c = configs.detection()
    c.seed = 1  # which draws both sizes
    c.data.source = source
    c.steps = 6
    c.batch_size = 8
    c.image_size = 64
    c.multi_scale = (64, 96)
    c.multi_scale_every = 2
    c.log_every = 2
    c.model.width = 1 / 16
    c.model.passthrough = "darknet"  # so that it can be written as Darknet's files
    c.model.head_init = "calm"
    c.model.num_anchors = 2
    c.model.sync_batch_norm = True
    c.evaluation.may_share_pictures = True
    c.optimizer.burn_in = 3
    return c


def train_once(folder: Path) -> None:
    """Trains `tiny_config` in folder/run on folder/data; folder/compilations.json counts programs compiled, by name."""
    import jax

    from yolo9000_jax.training.loop import train

    names = []

    def listen(event, seconds, fun_name="", **_):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        train(tiny_config(make_voc(folder / "data")), folder / "run")
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    (folder / "compilations.json").write_text(json.dumps(Counter(names)))
