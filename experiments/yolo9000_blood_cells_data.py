"""Makes the data of experiments/yolo9000_blood_cells.py: boxes without subtypes, and subtypes without boxes.

    python experiments/yolo9000_blood_cells_data.py ../shared/data/blood_cells runs/blood_cells_data

DATA holds the BCCD pictures in Pascal VOC layout (classes RBC, WBC, Platelets; splits train and val) and
leukocyte_subtypes.tsv, which says of what kind most white cells are. OUT gets

    OUT/boxes   voc: layout. Split train: one half of the training pictures, with boxes of erythrocyte, leukocyte and
                platelet. Split val: all validation pictures, the same, and every white cell whose kind is known a
                second time with the same box and its kind as name, to judge what was never trained with boxes.
    OUT/crops   folders: layout, split train. From the other half of the training pictures a square about each white
                cell whose kind is known, in the folder of that kind; no boxes. Its side is 4.5 times the cell's longer
                one (--context), at most the picture's shorter one, and it is shifted to lie inside the picture: the
                cell is then about as large in the square as a cell is in a whole picture.

Which half: the slices train[:50%] and train[50%:] of the source, a fixed pseudo-random order (data/splits.py). The tree
over both is experiments/trees/blood_cells.tree, made by our builder:

    cd experiments/trees; yolo9000 wordtree build --labels blood_cells.txt --collapse --output blood_cells.tree

The pictures and DATA's LICENSE, which goes with them, are copied. Made twice, the files have the same bytes.
"""

import argparse
import csv
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

from yolo9000_jax.data.messages import quote
from yolo9000_jax.data.records import Dataset, Record
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError

NAMES = {"RBC": "erythrocyte", "WBC": "leukocyte", "Platelets": "platelet"}
WHITE = "leukocyte"
KINDS = ("neutrophil", "eosinophil", "lymphocyte", "monocyte", "basophil")
BOXES, CROPS, JUDGED = "train[:50%]", "train[50%:]", "val"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
CONTEXT = 4.5  # side of a crop, of the cell's longer side
JPEG_QUALITY = 95

PICTURE = """<annotation>
  <filename>{filename}</filename>
  <size>
    <width>{width}</width>
    <height>{height}</height>
  </size>
{objects}</annotation>
"""
OBJECT = """  <object>
    <name>{name}</name>
    <difficult>{difficult:d}</difficult>
    <bndbox>
      <xmin>{x0:g}</xmin>
      <ymin>{y0:g}</ymin>
      <xmax>{x1:g}</xmax>
      <ymax>{y1:g}</ymax>
    </bndbox>
  </object>
"""

Box = tuple[float, float, float, float]  # xyxy, pixels
Kinds = dict[tuple[str, Box], str]  # of the white cells: by the picture's stem and the cell's box
Object = tuple[str, Box, bool]  # name, box, difficult


def make(data: Path, out: Path, context: float = CONTEXT) -> list[str]:
    """Writes OUT (see the module) and returns what to tell the user.

    Raises:
        UserError: a file of DATA is missing or wrong, or OUT holds files of something else.
    """
    sets = {split: open_source(f"voc:{data}", split, tuple(NAMES)) for split in (BOXES, CROPS, JUDGED)}
    kinds = read_kinds(data / "leukocyte_subtypes.tsv", sets.values())
    written = [
        *write_boxes(sets[BOXES], out / "boxes", "train", objects),
        *write_boxes(sets[JUDGED], out / "boxes", "val", lambda record: named_twice(objects(record), record, kinds)),
    ]
    crops = write_crops(sets[CROPS], out / "crops", kinds, context)
    written += crops
    if (data / "LICENSE").is_file():
        written += [Path(shutil.copyfile(data / "LICENSE", out / part / "LICENSE")) for part in ("boxes", "crops")]
    _check_strays(out, written)
    found = Counter(path.parent.name for path in crops)
    return [
        f"{out / 'boxes'}: train {len(sets[BOXES])} pictures, val {len(sets[JUDGED])}",
        f"{out / 'crops'}: train " + ", ".join(f"{count} {kind}" for kind, count in sorted(found.items())),
        *(f"  {note}" for dataset in sets.values() for note in dataset.notes),
    ]


def read_kinds(path: Path, datasets: Iterable[Dataset]) -> Kinds:
    """The kind of each white cell that has one in the table; each row must be about a white cell of the data sets.

    Raises:
        UserError: the table cannot be read, or a row is wrong; names its line.
    """
    cells = {key for dataset in datasets for record in dataset for key in _keys(record)}
    kinds = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path}: cannot be read: give the folder that holds it beside the pictures") from None
    rows = csv.DictReader(lines, delimiter="\t", restval="")
    for row in rows:
        place = f"{path}, line {rows.line_num}"
        try:
            x0, y0, x1, y1 = (float(row[corner]) for corner in CORNERS)
            key = (row["image"], (x0 - 1, y0 - 1, x1, y1))
            kind = row["subtype"]
        except (KeyError, ValueError):
            columns = ", ".join(("image", "subtype", *CORNERS))
            raise UserError(f"{place}: not a row of the columns {columns}, boxes in whole pixels: correct it") from None
        if kind not in KINDS:
            raise UserError(f"{place}: subtype {quote(kind)} is none of {', '.join(KINDS)}: correct it")
        if key not in cells:
            raise UserError(
                f"{place}: {quote(row['image'])} has no white cell with this box: take them from its XML file"
            )
        kinds[key] = kind
    return kinds


def objects(record: Record) -> list[Object]:
    """A picture's objects by their new names."""
    names, rows = list(NAMES.values()), zip(record.labels, record.boxes_xyxy.tolist(), record.difficult, strict=True)
    return [(names[label], (x0, y0, x1, y1), bool(difficult)) for label, (x0, y0, x1, y1), difficult in rows]


def _keys(record: Record) -> list[tuple[str, Box]]:
    """The white cells of a picture, as `Kinds` knows them."""
    return [(_stem(record), box) for name, box, _ in objects(record) if name == WHITE]


def _stem(record: Record) -> str:
    return Path(str(record.image)).stem


def named_twice(found: list[Object], record: Record, kinds: Kinds) -> list[Object]:
    """The objects, each white cell of known kind followed by itself under the name of its kind."""
    doubled = []
    for name, box, difficult in found:
        doubled.append((name, box, difficult))
        kind = kinds.get((_stem(record), box)) if name == WHITE else None
        if kind:
            doubled.append((kind, box, difficult))
    return doubled


def write_boxes(dataset: Dataset, folder: Path, split: str, of: Callable[[Record], list[Object]]) -> list[Path]:
    """Adds a split in Pascal VOC's layout: pictures, XML files of the objects that `of` gives, and the list."""
    lists, annotations, images = (folder / part for part in ("ImageSets/Main", "Annotations", "JPEGImages"))
    for part in (lists, annotations, images):
        part.mkdir(parents=True, exist_ok=True)
    records = sorted(dataset, key=_stem)
    written = [lists / f"{split}.txt"]
    written[0].write_text("".join(f"{_stem(record)}\n" for record in records), encoding="utf-8")
    for record in records:
        image = Path(shutil.copyfile(str(record.image), images / Path(str(record.image)).name))
        label = annotations / f"{image.stem}.xml"
        label.write_text(_xml(record, image.name, of(record)), encoding="utf-8")
        written += [image, label]
    return written


def _xml(record: Record, filename: str, found: list[Object]) -> str:
    """VOC's pixels count from 1, and the far one belongs to the box."""
    parts = [
        OBJECT.format(name=name, difficult=difficult, x0=x0 + 1, y0=y0 + 1, x1=x1, y1=y1)
        for name, (x0, y0, x1, y1), difficult in found
    ]
    return PICTURE.format(filename=escape(filename), width=record.width, height=record.height, objects="".join(parts))


def write_crops(dataset: Dataset, folder: Path, kinds: Kinds, context: float) -> list[Path]:
    """A square about each white cell of known kind: FOLDER/train/KIND/PICTURE_NUMBER.jpg, numbered in each picture."""
    written = []
    for record in sorted(dataset, key=_stem):
        known = [key for key in _keys(record) if key in kinds]
        if not known:
            continue
        pixels = record.read()
        for number, key in enumerate(known, 1):
            left, top, side = square_about(key[1], record.width, record.height, context)
            path = folder / "train" / kinds[key] / f"{key[0]}_{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            square = np.ascontiguousarray(pixels[top : top + side, left : left + side])
            Image.fromarray(square).save(path, quality=JPEG_QUALITY)
            written.append(path)
    return written


def square_about(box_xyxy: Box, width: int, height: int, context: float) -> tuple[int, int, int]:
    """Left, top and side of the square about a box, in whole pixels inside a picture of width x height."""
    x0, y0, x1, y1 = box_xyxy
    side = min(round(context * max(x1 - x0, y1 - y0)), width, height)
    left, top = round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2)
    return min(max(left, 0), width - side), min(max(top, 0), height - side), side


def _check_strays(out: Path, written: list[Path]) -> None:
    found = {path for part in ("boxes", "crops") for path in (out / part).rglob("*") if path.is_file()}
    strays = sorted(found - set(written))
    if strays:
        raise UserError(
            f"{strays[0]} is not of this data set ({len(strays)} such): remove {out}, or name another folder"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--context", type=float, default=CONTEXT, help="side of a crop, of the cell's longer side")
    options = parser.parse_args()
    try:
        if not 1 <= options.context <= 100:
            raise UserError(f"--context {options.context:g}: give 1 or more, so that the cell is inside")
        print("\n".join(make(options.data, options.out, options.context)))
    except (UserError, OSError) as error:
        print(f"yolo9000_blood_cells_data: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
