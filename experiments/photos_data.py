"""Makes the photographs of `--config.dataset=photos` of experiments/ablation.py out of tiny-imagenet-200.

    python experiments/photos_data.py --source DIR/tiny-imagenet-200 --output runs/photos

tiny-imagenet-200 (200 kinds, photographs of 64 pixels, a box each) is at http://cs231n.stanford.edu/tiny-imagenet-200.zip;
ImageNet's terms hold for it and for all that is made of it: research only, not to be passed on. OUTPUT gets

    OUTPUT/classify    folders: layout. train: 60 % of the training photographs of every kind, as they are.
    OUTPUT/detect      voc: layout. Canvases of 224 pixels with 1 to 3 photographs of 80 to 176 pixels each: train
                       (5000) from the other 40 %, val (800) from tiny-imagenet's own val.
    OUTPUT/placed.tsv  which photograph lies where on which canvas, and the box of its object.

No photograph is in two of the three sets. Within a set one may be on several canvases, once all have been used.

*Boxes* are those of the objects, scaled with their photographs, not the photographs' outlines: an outline is a square
with sharp edges, which could be found without knowing any object and whose shapes would leave nothing to choose
between priors. Objects thinner than 2 pixels in their photographs, and boxes that stick out of these, are left out
and counted. *Classes* are coarse: of each kind the highest node of experiments/trees/tiny_imagenet.tree with at most
10 of the 200 kinds below it. Where that node has no second kind, the kind is on no canvas: 164 kinds in 35 classes
are. *Backgrounds* are pieces of photographs of the same set that lie beside their objects' boxes: one over the whole
canvas, and two to five smaller ones, so that neither sharp edges nor a photograph's texture tell that an object is
there. Photographs may overlap by a tenth of the smaller one's area, and then hide what is below them.

tiny_imagenet.tree holds the 200 kinds and all that is above them in Darknet's 9k.tree. Made twice from the same files
with the same Pillow, the files have the same bytes.
"""

import argparse
import hashlib
import io
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from yolo9000_jax.data.annotations import Notes
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import read_text, write_whole
from yolo9000_jax.images import reading
from yolo9000_jax.wordtree.tree import WordTree

TREE = Path(__file__).parent / "trees" / "tiny_imagenet.tree"
MOST_KINDS, LEAST_KINDS = 10, 2  # of a coarse class
SHARE_TO_CLASSIFY = 0.6
CANVASES = {"train": 5000, "val": 800}
SIDE = 224  # of a canvas, in pixels
PHOTOGRAPHS, SIDES = (1, 3), (80, 176)  # on a canvas, and their sides in pixels
PIECES, PIECE_SIDES = (2, 5), (24, 96)
LEAST_PIECE = 12  # pixels of the shorter side of a piece, in its photograph
OVERLAP = 0.1  # of the smaller photograph's area
TRIES = 200  # at a place for one photograph
THINNEST = 2  # pixels of an object in its photograph
JPEG_QUALITY = 95
WHOLE = 64  # side of a photograph, in pixels
THIN = (f"object thinner than {THINNEST} pixels is left out", f"objects thinner than {THINNEST} pixels are left out")
OUTSIDE = (
    "box that sticks out of its photograph is left out",
    "boxes that stick out of their photographs are left out",
)

PICTURE = """<annotation>
  <filename>{name}.jpg</filename>
  <size>
    <width>{side}</width>
    <height>{side}</height>
    <depth>3</depth>
  </size>
{objects}</annotation>
"""
OBJECT = """  <object>
    <name>{name}</name>
    <difficult>0</difficult>
    <bndbox>
      <xmin>{x0}</xmin>
      <ymin>{y0}</ymin>
      <xmax>{x1}</xmax>
      <ymax>{y1}</ymax>
    </bndbox>
  </object>
"""

COLUMNS = "canvas\tphotograph\tkind\tclass\tleft\ttop\tside\txmin\tymin\txmax\tymax"  # of placed.tsv

Box = tuple[int, int, int, int]  # xyxy in pixels, the far corner outside
Names = Mapping[str, Sequence[str]]  # of each kind what its objects are called


class Photograph(NamedTuple):
    """A picture of tiny-imagenet-200: its file, its kind (a synset), the box of its object in its pixels."""

    path: Path
    kind: str
    box: Box


class Placed(NamedTuple):
    """A photograph on a canvas: the square that it fills, and the box of its object there."""

    photograph: Photograph
    square: Box
    box: Box


def read_train(source: Path, kinds: Sequence[str]) -> list[Photograph]:
    """All training photographs, in the order of their files' names."""
    found = []
    for kind in kinds:
        folder = source / "train" / kind
        for name, *corners in _rows(folder / f"{kind}_boxes.txt", 5):
            found.append(Photograph(folder / "images" / name, kind, _box(corners, folder / f"{kind}_boxes.txt", name)))
    return found


def read_val(source: Path) -> list[Photograph]:
    """The photographs of val, as they are listed."""
    listed = source / "val" / "val_annotations.txt"
    return [
        Photograph(source / "val" / "images" / name, kind, _box(corners, listed, name))
        for name, kind, *corners in _rows(listed, 6)
    ]


def _rows(listed: Path, columns: int) -> Iterator[list[str]]:
    """The fields of each line of a list. Raises UserError for one with other than so many."""
    for number, line in enumerate(read_text(listed).splitlines(), 1):
        fields = line.split()
        if len(fields) != columns:
            raise UserError(
                f"{listed}, line {number}: {len(fields)} fields, not {columns}: fetch tiny-imagenet-200 anew"
            )
        yield fields


def _box(corners: Sequence[str], listed: Path, name: str) -> Box:
    """A box whose far corner is outside; in the files it is inside."""
    try:
        x0, y0, x1, y1 = map(int, corners)
    except ValueError:
        raise UserError(f"{listed}: the box of {name} is not of whole numbers: correct it") from None
    return x0, y0, x1 + 1, y1 + 1


def coarse_nodes(tree: WordTree, kinds: Iterable[str]) -> dict[str, int]:
    """{kind: node of its coarse class}, of the kinds that have one (see the module).

    Raises:
        UserError: a kind is not in the tree.
    """
    paths = {kind: tree.path(kind) for kind in kinds}
    below = Counter(node for path in paths.values() for node in path)
    highest = {kind: next(node for node in path if below[node] <= MOST_KINDS) for kind, path in paths.items()}
    return {kind: node for kind, node in highest.items() if below[node] >= LEAST_KINDS}


def divide(photographs: Sequence[Photograph], share: float) -> tuple[list[Photograph], list[Photograph]]:
    """A share of the photographs of every kind, and the others: a fixed pseudo-random choice by their names."""
    by_kind: dict[str, list[Photograph]] = {}
    for photograph in sorted(photographs, key=lambda each: hashlib.sha256(each.path.name.encode()).digest()):
        by_kind.setdefault(photograph.kind, []).append(photograph)
    first, second = [], []
    for _, members in sorted(by_kind.items()):
        count = round(share * len(members))
        first += members[:count]
        second += members[count:]
    return first, second


class Composer:
    """Draws the canvases of a set.

    Args:
        photographs: those with an object for the canvases.
        others: all of the set, to take pieces beside objects from.
        seed: of all choices.
    """

    def __init__(self, photographs: Sequence[Photograph], others: Sequence[Photograph], seed: int):
        self.rng = np.random.default_rng(seed)
        self.photographs = photographs
        self.pieces = [(each, region) for each in others if (region := beside(each.box))]
        self.pending: list[Photograph] = []
        if not photographs or not self.pieces:
            raise UserError("too few photographs of coarse classes to compose canvases of: is tiny-imagenet-200 whole?")

    def canvas(self) -> tuple[Image.Image, list[Placed]]:
        """The next canvas, with what is on it in the order in which it was laid."""
        canvas, placed = self.background(), list[Placed]()
        for _ in range(self.rng.integers(PHOTOGRAPHS[0], PHOTOGRAPHS[1] + 1)):
            self.lay(canvas, placed, self.next)
        return canvas, placed

    def background(self) -> Image.Image:
        """A canvas with nothing but pieces on it."""
        canvas = self._piece().resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        for _ in range(self.rng.integers(PIECES[0], PIECES[1] + 1)):
            side = self._side(PIECE_SIDES)
            x, y = self.rng.integers(0, SIDE - side + 1, 2)
            canvas.paste(self._piece().resize((side, side), Image.Resampling.BICUBIC), (int(x), int(y)))
        return canvas

    def lay(self, canvas: Image.Image, placed: list[Placed], choose: Callable[[], Photograph]) -> None:
        """Lays the photograph that is chosen somewhere on the canvas, and notes it, if there is room."""
        square = self._place([each.square for each in placed])
        if square is None:
            return
        photograph = choose()
        picture = _read(photograph.path)
        side = square[2] - square[0]
        canvas.paste(picture.resize((side, side), Image.Resampling.BICUBIC), square[:2])
        placed.append(Placed(photograph, square, scaled(photograph.box, picture.size, square)))

    def next(self) -> Photograph:
        """Each photograph once, in random order, and then all of them again."""
        if not self.pending:
            self.pending = [self.photographs[place] for place in self.rng.permutation(len(self.photographs))]
        return self.pending.pop()

    def _piece(self) -> Image.Image:
        photograph, region = self.pieces[self.rng.integers(len(self.pieces))]
        return _read(photograph.path).crop(region)

    def _side(self, sides: tuple[int, int]) -> int:
        """Small sides are as likely as large ones: uniform in the logarithm."""
        low, high = np.log(sides)
        return round(math.exp(self.rng.uniform(low, high)))

    def _place(self, taken: Sequence[Box]) -> Box | None:
        """A square for a photograph that overlaps those that are there by little; None where none was found."""
        for _ in range(TRIES):
            side = self._side(SIDES)
            x, y = (int(value) for value in self.rng.integers(0, SIDE - side + 1, 2))
            square = (x, y, x + side, y + side)
            if all(_shared_area(square, other) <= OVERLAP * min(side, other[2] - other[0]) ** 2 for other in taken):
                return square
        return None


def beside(box: Box, side: int = 64) -> Box | None:
    """The largest of the four strips of a photograph beside its object's box; None where none is wide enough."""
    x0, y0, x1, y1 = box
    strips = ((0, 0, x0, side), (x1, 0, side, side), (0, 0, side, y0), (0, y1, side, side))
    wide = [strip for strip in strips if min(strip[2] - strip[0], strip[3] - strip[1]) >= LEAST_PIECE]
    return max(wide, key=lambda strip: (strip[2] - strip[0]) * (strip[3] - strip[1]), default=None)


def scaled(box: Box, size: tuple[int, int], square: Box) -> Box:
    """A box of a photograph of that width and height, where the photograph fills the square: in whole pixels.

    It is at least two pixels wide and high: of one, VOC's format says that it is without area.
    """
    left, top, right, bottom = square
    x0, x1 = (left + round(x * (right - left) / size[0]) for x in box[::2])
    y0, y1 = (top + round(y * (bottom - top) / size[1]) for y in box[1::2])
    x0, y0 = min(x0, right - 2), min(y0, bottom - 2)
    return x0, y0, max(x1, x0 + 2), max(y1, y0 + 2)


def _shared_area(one: Box, other: Box) -> int:
    width, height = (min(one[k + 2], other[k + 2]) - max(one[k], other[k]) for k in (0, 1))
    return max(width, 0) * max(height, 0)


def _read(path: Path) -> Image.Image:
    return Image.fromarray(reading.read(path))


def make(source: Path, output: Path, canvases: dict[str, int], tree: WordTree) -> list[str]:
    """Writes OUTPUT (see the module) and returns what to tell the user.

    Args:
        canvases: how many of each split.
        tree: of the kinds.

    Raises:
        UserError: a file of the source is missing or wrong, or OUTPUT is there already.
    """
    kinds = begin(source, output)
    classes = {kind: (tree.names[node],) for kind, node in coarse_nodes(tree, kinds).items()}
    classified, rest = divide(read_train(source, kinds), SHARE_TO_CLASSIFY)
    for photograph in classified:
        copy = output / "classify" / "train" / photograph.kind / photograph.path.name
        write_whole(copy, read_bytes(photograph.path))
    lines = [f"{output / 'classify'}: train {len(classified)} photographs of {len(kinds)} kinds"]
    table = [COLUMNS]
    for seed, (split, photographs) in enumerate((("train", rest), ("val", read_val(source)))):
        notes = Notes()
        usable = [each for each in photographs if each.kind in classes and is_sound(each, notes)]
        composer = Composer(usable, photographs, seed)
        placed = write_canvases(composer, output / "detect", split, canvases[split], classes, table)
        lines.append(
            f"{output / 'detect'}: {split} {canvases[split]} canvases with {placed} photographs of {len(usable)}"
        )
        lines += [f"  {note}" for note in notes.lines()]
    write_whole(output / "placed.tsv", "\n".join(table) + "\n")
    return [*lines, f"{len(set(classes.values()))} coarse classes of {len(classes)} kinds"]


def begin(source: Path, output: Path) -> list[str]:
    """The kinds of the source. Raises UserError where OUTPUT is there already, or the source is not."""
    if output.exists():
        raise UserError(f"{output} is there already: remove it, or name another folder")
    return [line for line in read_text(source / "wnids.txt").split() if line]


def is_sound(photograph: Photograph, notes: Notes) -> bool:
    """Whether a photograph's box is one; what is wrong is noted."""
    x0, y0, x1, y1 = photograph.box
    if min(x1 - x0, y1 - y0) < THINNEST:
        notes.add(THIN, photograph.path.name)
    elif min(x0, y0) < 0 or max(x1, y1) > WHOLE:
        notes.add(OUTSIDE, photograph.path.name)
    else:
        return True
    return False


def write_canvases(composer: Composer, folder: Path, split: str, count: int, names: Names, table: list[str]) -> int:
    """Writes canvases and XML files in VOC's layout, adds to the table, and returns how many objects there are."""
    objects = 0
    for number in range(count):
        canvas, placed = composer.canvas()
        objects += len(placed)
        name = f"{split}_{number:04d}"
        write_whole(folder / "JPEGImages" / f"{name}.jpg", jpeg(canvas))
        write_whole(folder / "Annotations" / f"{name}.xml", annotation(name, placed, names))
        table.extend(rows(name, placed, names))
    write_whole(folder / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{split}_{n:04d}\n" for n in range(count)))
    return objects


def jpeg(canvas: Image.Image) -> bytes:
    content = io.BytesIO()
    canvas.save(content, "JPEG", quality=JPEG_QUALITY)
    return content.getvalue()


def annotation(canvas: str, placed: Sequence[Placed], names: Names) -> str:
    """VOC's XML of a canvas: each object once for each name of its kind."""
    # VOC's pixels count from 1, and the far one belongs to the box.
    objects = "".join(
        OBJECT.format(name=name, x0=x0 + 1, y0=y0 + 1, x1=x1, y1=y1)
        for photograph, _, (x0, y0, x1, y1) in placed
        for name in names[photograph.kind]
    )
    return PICTURE.format(name=canvas, side=SIDE, objects=objects)


def rows(canvas: str, placed: Sequence[Placed], names: Names) -> Iterator[str]:
    """What placed.tsv says of a canvas; the class is the first name of the kind."""
    for photograph, square, box in placed:
        label, side = names[photograph.kind][0], square[2] - square[0]
        cells = (canvas, photograph.path.name, photograph.kind, label, *square[:2], side, *box)
        yield "\t".join(map(str, cells))


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): fetch tiny-imagenet-200 anew") from error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, metavar="DIR", help="tiny-imagenet-200")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to make")
    options = parser.parse_args()
    try:
        print("\n".join(make(options.source, options.output, CANVASES, WordTree.load_with_names(TREE))))
    except (UserError, OSError) as error:
        print(f"photos_data: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
