"""The YOLO text format: a data.yaml that names the classes and the pictures, and one text file a picture.

A picture's labels are found by replacing the last folder `images` of its path by `labels`. A line is `class x y w h`,
centre and size in fractions of the picture. A picture without label file has no objects; the notes count these, and
the label files without picture.
Split "" or "all" is train, val and test together.
"""

import math
import os
from pathlib import Path

import yaml

from yolo9000_jax.data.annotations import Annotation, Notes, class_id, make_records
from yolo9000_jax.data.messages import nearest, quote
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import Split
from yolo9000_jax.errors import UserError
from yolo9000_jax.images.reading import EXTENSIONS

SPLITS = ("train", "val", "test")
NO_FILE = (
    "picture has no label file: taken as without objects",
    "pictures have no label file: taken as without objects",
)
NO_PICTURE = ("label file has no picture and is not used", "label files have no picture and are not used")


def open_yolo(location: str, split: Split, classes: tuple[str, ...] | None) -> Dataset:
    """Reads the data set that a data.yaml describes (see the module).

    Args:
        location: the data.yaml.
        split: which part of it.
        classes: class names in the order wanted; None: those of data.yaml.

    Raises:
        UserError: names the file and the line that is wrong.
    """
    file = Path(location).expanduser()
    description = _read_yaml(file)
    names = _names(file, description)
    images = _split_images(file, description, split)
    if images and not any(os.path.isfile(label_file(image)) for image in images):
        expected = label_file(images[0])
        raise UserError(f"{file}: no picture of {quote(split.name)} has a label file: expected {expected} and so on")
    notes = Notes()
    _note_labels_without_picture(images, notes)
    images = split.pick(images, key=lambda image: image.stem)
    wanted = names if classes is None else classes
    ids = {name: index for index, name in enumerate(wanted)}
    annotations = [_annotation(image, names, ids, notes) for image in images]
    return Dataset(f"yolo:{location}", split.text, wanted, make_records(annotations, notes), notes=notes.lines())


def label_file(image: Path) -> Path:
    """Where the labels of a picture are: `…/images/a/b.jpg` -> `…/labels/a/b.txt`; else beside the picture."""
    folders = list(image.parts[:-1])
    if "images" in folders:
        folders[len(folders) - 1 - folders[::-1].index("images")] = "labels"
    return Path(*folders, image.name).with_suffix(".txt")


def _read_yaml(file: Path) -> dict:
    if not os.path.isfile(file):
        raise UserError(f"yolo:{file}: there is no such file; give the path of a data.yaml")
    try:
        description = yaml.safe_load(file.read_bytes())
    except Exception as error:  # besides YAMLError, tagged values raise what their Python constructor raises
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = (getattr(error, "problem", None) or type(error).__name__).splitlines()[0]
        raise UserError(f"{file}{line}: not readable as YAML ({problem}): correct it") from None
    if not isinstance(description, dict):
        raise UserError(f"{file}: give the keys names and {', '.join(SPLITS)}, as in a data.yaml")
    return description


def _names(file: Path, description: dict) -> tuple[str, ...]:
    names = description.get("names")
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise UserError(f"{file}: names: the keys are not 0 to {len(names) - 1}: number the classes without gaps")
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names:
        raise UserError(f"{file}: names is missing or empty: list the class names")
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise UserError(f"{file}: names: class {index} is {quote(name)}, not text: put the name in quotes")
        if names.index(name) != index:
            raise UserError(
                f"{file}: names: {quote(name)} stands there twice (classes {names.index(name)} and {index})"
            )
    count = description.get("nc", len(names))
    if count != len(names):
        raise UserError(f"{file}: nc is {quote(count)}, but names has {len(names)} names: correct one of them")
    return tuple(names)


def _split_images(file: Path, description: dict, split: Split) -> list[Path]:
    present = [name for name in SPLITS if description.get(name)]
    if not split.is_all and split.name not in present:
        known = ", ".join(present) or "none"
        raise UserError(
            f"{file} has no split {quote(split.name)}{nearest(split.name, present)}: the splits are {known}"
        )
    root = file.parent / _text(file, "path", description.get("path") or ".")
    images: dict[Path, None] = {}  # in order, and once each: val is often train again
    for name in present if split.is_all else (split.name,):
        entries = description[name]
        for entry in entries if isinstance(entries, list) else [entries]:
            images.update(dict.fromkeys(_images_at(file, name, root, _text(file, name, entry))))
    return list(images)


def _text(file: Path, key: str, value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise UserError(f"{file}: {key}: {quote(value)} is not a path")
    return os.path.expanduser(value)


def _images_at(file: Path, key: str, root: Path, entry: str) -> list[Path]:
    place = root / entry
    if not os.path.exists(place) and entry.startswith("../"):
        place = root / entry[3:]  # Roboflow's exports write ../train/images for what lies beside data.yaml
    if os.path.isdir(place):
        images = sorted(image for image in place.rglob("*") if image.suffix.lower() in EXTENSIONS)
        if not images:
            raise UserError(f"{file}: {key}: {place} has no pictures ({' '.join(EXTENSIONS)})")
        return images
    if os.path.isfile(place) and place.suffix == ".txt":
        return _listed_images(root, place)
    raise UserError(
        f"{file}: {key}: there is no folder or .txt list {quote(str(root / entry), 200)}: correct {key} or path"
    )


def _listed_images(root: Path, listed: Path) -> list[Path]:
    images = []
    for number, line in enumerate(_lines(listed), 1):
        if line.strip():
            places = [folder / os.path.expanduser(line.strip()) for folder in (listed.parent, root)]
            found = next((place for place in places if os.path.isfile(place)), None)
            if found is None:
                raise UserError(f"{listed}:{number}: there is no picture {quote(line.strip(), 200)}: correct the path")
            images.append(found)
    return images


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8 text: fetch or write it again") from None


def _note_labels_without_picture(images: list[Path], notes: Notes) -> None:
    """Looks at the label folders of the pictures, unless the labels are among the pictures themselves."""
    folders = {image.parent: label_file(image).parent for image in images}
    for image_folder, label_folder in folders.items():
        if label_folder != image_folder and label_folder.is_dir():
            stems = {image.stem for image in image_folder.iterdir() if image.suffix.lower() in EXTENSIONS}
            for file in sorted(label_folder.glob("*.txt")):
                if file.stem not in stems and file.name != "classes.txt":
                    notes.add(NO_PICTURE, file.name)


def _annotation(image: Path, names: tuple[str, ...], ids: dict[str, int], notes: Notes) -> Annotation:
    file = label_file(image)
    if not os.path.isfile(file):
        notes.add(NO_FILE, image.name)
        return Annotation(image.name, str(image), image, [], [], [], [])
    annotation = Annotation(file.name, str(file), image, [], [], [], [], fractions=True)
    for number, line in enumerate(_lines(file), 1):
        if line.strip():
            index, box = _parse_line(f"{file}:{number}", line, names)
            annotation.labels.append(class_id(names[index], ids, f"{file}:{number}"))
            annotation.boxes_xyxy.append(box)
            annotation.difficult.append(False)
            annotation.places.append(f"line {number}")
    return annotation


def _parse_line(place: str, line: str, names: tuple[str, ...]) -> tuple[int, tuple[float, float, float, float]]:
    """Class and corners (fractions of the picture) of one line."""
    columns = line.split()
    if len(columns) != 5:
        polygon = " (polygons are not read)" if len(columns) > 6 else ""
        raise UserError(f"{place}: {len(columns)} columns{polygon}: write 'class x y w h'")
    try:
        index, numbers = int(columns[0]), [float(column) for column in columns[1:]]
    except ValueError:
        raise UserError(f"{place}: {quote(line.strip())} is not 'class x y w h' in numbers: correct it") from None
    if not 0 <= index < len(names):
        raise UserError(f"{place}: class {quote(index)} is outside 0 to {len(names) - 1}: correct it, or add its name")
    if not all(map(math.isfinite, numbers)):
        raise UserError(f"{place}: {quote(line.strip())} is not made of finite numbers: correct it")
    if max(map(abs, numbers)) > 2:
        raise UserError(
            f"{place}: {quote(line.strip())} is not in fractions of the picture: divide by its width and height"
        )
    x, y, w, h = numbers
    if w < 0 or h < 0:
        raise UserError(f"{place}: width or height is negative ({w:g}, {h:g}): correct it")
    return index, (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
