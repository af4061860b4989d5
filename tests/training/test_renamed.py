"""A run whose data's class names have changed places: labels would mean other classes than the network has learnt."""

import json
from pathlib import Path

import pytest

from tests.data.test_sources import write_picture, write_xml
from yolo9000_jax import config as configs
from yolo9000_jax.errors import UserError
from yolo9000_jax.tasks.detection import Detection
from yolo9000_jax.training.resuming import _check_data
from yolo9000_jax.workdir.facts import Facts, Run

BOXES = (("block", 1, 1, 9, 9), ("disc", 3, 3, 12, 9))


def write_voc(folder: Path, names: dict[str, str]) -> str:
    for number, (name, *box) in enumerate(BOXES):
        write_picture(folder / f"{number}.jpg")
        write_xml(folder / f"{number}.xml", [(names[name], 0, *box)])
    return f"voc:{folder}"


def write_yolo(folder: Path, names: dict[str, str]) -> str:
    for number in range(len(BOXES)):
        write_picture(folder / f"images/{number}.jpg")
        (folder / "labels").mkdir(exist_ok=True)
        (folder / f"labels/{number}.txt").write_text(f"{number} .5 .5 .4 .{number + 3}\n")
    (folder / "data.yaml").write_text(f"train: images\nnames: [{', '.join(names.values())}]\n")
    return f"yolo:{folder}/data.yaml"


def write_coco(folder: Path, names: dict[str, str]) -> str:
    for number in range(len(BOXES)):
        write_picture(folder / f"images/{number}.jpg")
    content = {
        "images": [{"id": n, "file_name": f"{n}.jpg"} for n in range(2)],
        "annotations": [
            {"id": n + 1, "image_id": n, "category_id": n + 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
            for n, (_, x0, y0, x1, y1) in enumerate(BOXES)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names.values(), 1)],
    }
    (folder / "a.json").write_text(json.dumps(content))
    return f"coco:{folder}/a.json,{folder}/images"


@pytest.mark.parametrize("fixed", [(), ("block", "disc")])
@pytest.mark.parametrize("write", [write_voc, write_yolo, write_coco])
@pytest.mark.parametrize("after", [{"block": "disc", "disc": "block"}, {"block": "block", "disc": "ball"}])
def test_names_that_change(tmp_path, write, fixed, after):
    c = configs.from_scratch()
    c.data.source = write(tmp_path, {"block": "block", "disc": "disc"})
    c.data.split = c.evaluation.split = "train"
    c.data.classes, c.steps, c.model.num_anchors = fixed, 2, 1
    config = configs.complete(c)

    def go_on() -> None:
        task = Detection(config, facts)
        _check_data(task, facts, task.fingerprints(), tmp_path)

    begun = Detection(config)
    facts = Facts(begun.network, Run(begun.max_boxes, "voc_ap50", begun.fingerprints()))
    go_on()
    write(tmp_path, after)
    with pytest.raises(UserError) as caught:
        go_on()
    message = str(caught.value)
    assert "\n" not in message
    reasons = (
        "no longer those that the network has learnt",
        "no longer those that the run",
        "class 'ball' is not among",
    )
    assert any(reason in message for reason in reasons), message
