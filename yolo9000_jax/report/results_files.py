"""What was found and what is there, as the official tools and servers of COCO and VOC take it."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

import numpy as np

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.result import Compared, Picture
from yolo9000_jax.files import shown, to_json, write_whole

LONGEST_NAME = 100  # bytes of a class, or a split, in the name of a file, which may have 255


def write_coco_results(path: Path, compared: Compared) -> None:
    """Writes all detections as COCO's server takes them: [{"image_id", "category_id", "bbox": [x, y, w, h], "score"}].

    The ids are those of the data set's own COCO file, text or number as it has them. Where it is none, pictures go by
    the numbers that their files are called by, if all are, as COCO's are, else by their place from 1; COCO's classes by
    its ids, others by their place from 1.
    """
    images, categories = _image_ids(compared), compared.category_ids
    lines = [
        json.dumps({"image_id": image, "category_id": categories[label], "bbox": box, "score": score})
        for image, found in zip(images, compared.detections, strict=True)
        for box, score, label in zip(_xywh(found.boxes_xyxy), found.scores.tolist(), found.labels.tolist(), strict=True)
    ]
    write_whole(path, "[" + ",\n".join(lines) + "]\n")


def write_coco_truth(path: Path, compared: Compared, class_names: Sequence[str]) -> None:
    """Writes the truth that was compared with as a COCO instances file, with the ids of `write_coco_results`.

    Difficult objects are ordinary ones there, as COCO knows no others.
    """
    images, categories = _image_ids(compared), compared.category_ids
    annotations = [
        {"image_id": image, "category_id": categories[label], "bbox": box, "area": area, "iscrowd": int(crowd)}
        for image, truth in zip(images, compared.truths, strict=True)
        for box, label, area, crowd in zip(
            _xywh(truth.boxes_xyxy), truth.labels.tolist(), _listed(truth.areas), _listed(truth.crowd), strict=True
        )
    ]
    content = {
        "info": {"description": "written by yolo9000 evaluate"},
        "images": [
            {"id": own, "file_name": picture.name, "width": picture.width, "height": picture.height}
            for own, picture in zip(images, compared.pictures, strict=True)
        ],
        "annotations": [{"id": number} | annotation for number, annotation in enumerate(annotations, 1)],
        "categories": [{"id": own, "name": name} for own, name in zip(categories, class_names, strict=True)],
    }
    write_whole(path, to_json(content))


def write_voc_results(folder: Path, compared: Compared, class_names: Sequence[str]) -> None:
    """Writes a file a class as VOC's development kit and server take them: comp4_det_SPLIT_CLASS.txt.

    A line is "PICTURE SCORE XMIN YMIN XMAX YMAX": the name of the picture's file without its ending, and pixels counted
    from 1, the last one inside. What is no letter, digit, dot or dash in a class's name is an underscore in the file's.

    Raises:
        UserError: two pictures, or two classes, have one name, a picture's name has a blank in it, or a file cannot be
            written.
    """
    names, files = voc_names(compared.pictures), voc_files(compared.split, class_names)
    lines: list[list[str]] = [[] for _ in files]
    for name, found in zip(names, compared.detections, strict=True):
        boxes = (found.boxes_xyxy + [1, 1, 0, 0]).tolist()
        for box, score, label in zip(boxes, found.scores.tolist(), found.labels.tolist(), strict=True):
            lines[label].append(f"{name} {score:.6f} {' '.join(f'{value:.6f}' for value in box)}\n")
    for file, own in zip(files, lines, strict=True):
        write_whole(folder / file, "".join(own))


def check_voc_names(dataset: Dataset, class_names: Sequence[str]) -> None:
    """Raises UserError, before the work of an evaluation, where `write_voc_results` would after it.

    Of a lazy set the classes alone are looked at: its pictures' names are known when they are read.
    """
    voc_files(dataset.split, class_names)
    if not dataset.lazy:
        voc_names(Picture(each.picture_name, each.width, each.height, each.image_id) for each in dataset.once())


def voc_names(pictures: Iterable[Picture]) -> list[str]:
    """What VOC's results call each picture: its file without the ending, or the text by which the data set knows it.

    Raises:
        UserError: two have one name, or one has a blank in it.
    """
    names = [each.image_id if isinstance(each.image_id, str) else PurePath(each.name).stem for each in pictures]
    if odd := next((name for name in names if re.search(r"\s", name)), None):
        raise UserError(f"VOC's results: the name of picture {odd!r} has a blank, which parts columns there: rename it")
    if twice := next((name for name, times in Counter(names).items() if times > 1), None):
        raise UserError(f"VOC's results: several pictures are called {twice!r}: results go by these names, rename them")
    return names


def voc_files(split: str, class_names: Sequence[str]) -> list[str]:
    """The name of each class's file. Raises UserError where two are the same."""
    files = [f"comp4_det_{_plain(split) or 'test'}_{_plain(name)}.txt" for name in class_names]
    if twice := next((place for place, file in enumerate(files) if file in files[:place]), None):
        raise UserError(
            f"VOC's results: classes {shown(class_names[files.index(files[twice])])!r} and "
            f"{shown(class_names[twice])!r} would be one file, {files[twice]}: rename one of them"
        )
    return files


def _plain(name: str) -> str:
    """What a file's name may hold of it."""
    return re.sub(r"[^\w.-]", "_", name).encode()[:LONGEST_NAME].decode(errors="ignore")


def _image_ids(compared: Compared) -> list[int | str]:
    own = [picture.image_id for picture in compared.pictures if picture.image_id is not None]
    if compared.own_ids and len(set(own)) == len(compared.pictures):
        return own
    names = [PurePath(each.name).stem if each.image_id is None else each.image_id for each in compared.pictures]
    numbers = [int(name) for name in names if isinstance(name, int) or re.fullmatch("[0-9]{1,18}", name)]
    return list(numbers) if len(set(numbers)) == len(names) else list(range(1, len(names) + 1))


def _xywh(boxes_xyxy: np.ndarray) -> list[list[float]]:
    return np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], 1).tolist()


def _listed(values: np.ndarray | None) -> list:
    assert values is not None  # voc.checked leaves none out
    return values.tolist()
