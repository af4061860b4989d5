"""Makes the photographs of experiments/yolo9000_photos.py out of tiny-imagenet-200: kinds named that had no boxes.

    python experiments/yolo9000_photos_data.py --source DIR/tiny-imagenet-200 --output runs/yolo9000_photos

Photographs, canvases, coarse classes and their sizes are those of photos_data.py, which says where tiny-imagenet-200 is
and what holds for it; kinds without a coarse class are left out. OUTPUT gets

    OUTPUT/classify   folders: layout. train: 60 % of the training photographs of every kind, as they are.
    OUTPUT/labelled   folders: layout. train: for each kind 40 canvases (--labelled) with one photograph of it, of any
                      size and place, and up to two of other coarse classes, which may be larger.
    OUTPUT/boxes      voc: layout. train: 1000 canvases of the other 40 %, boxes by their coarse class, S1 kinds only.
    OUTPUT/oracle     the same with boxes by their kind, of all kinds: what joint training would have to reach.
    OUTPUT/judged     voc: layout. val: 800 canvases of tiny-imagenet's own val, each box twice, by class and by kind.
    OUTPUT/kinds.tsv  each kind: its name, its coarse class, and the set that it is in
    OUTPUT/placed.tsv which photograph lies where, on the canvases of all sets

The sets, by rule, in the order of synsets: S3 are the kinds of every fifth coarse class, which no boxed canvas has; of
the other classes with three kinds or more, the second, sixth, … kind are S2, which are on no boxed canvas while their
siblings are; the others are S1, boxed by the name of their class.

No photograph is in two of the three pools: `classify` and `labelled`; `boxes` and `oracle`, of which an experiment
takes one; `judged`. Made twice from the same files with the same Pillow, the files have the same bytes.

    python experiments/yolo9000_photos_data.py --output runs/yolo9000_photos \\
        --table joint.json detection.json oracle.json

prints what `yolo9000 evaluate --json` found: mean AP50 of S1, S2, S3, of the coarse classes with boxes and without, and
what of the oracle's gain over the second file's the first one has.
"""

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import photos_data as photos  # beside this file
from PIL import Image

from yolo9000_jax.data.annotations import Notes
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.voc import mean_of
from yolo9000_jax.files import read_text, write_whole
from yolo9000_jax.wordtree.tree import WordTree

LABELLED = 40  # canvases a kind
CANVASES = {"boxes": 1000, "oracle": 1000, "judged": 800}
DISTRACTORS = 2  # at most
UNBOXED_CLASS, UNBOXED_KIND = 5, 4  # every so many-th
LEAST_SIBLINGS = 3  # kinds of a class of which one is taken out
SETS = ("S1", "S2", "S3")
SEEDS = {"labelled": 10, "boxes": 11, "oracle": 12, "judged": 13}


def divide_kinds(tree: WordTree, classes: dict[str, int]) -> dict[str, str]:
    """{kind: "S1", "S2" or "S3"}, by the rule above.

    Args:
        classes: the node of each kind's coarse class (photos_data.coarse_nodes).

    Raises:
        UserError: a coarse class has no kind besides itself.
    """
    found = {}
    for place, node in enumerate(sorted(set(classes.values()), key=lambda node: tree.synsets[node])):
        kinds = sorted(kind for kind, of in classes.items() if of == node and kind != tree.synsets[node])
        if not kinds:
            raise UserError(f"coarse class {tree.names[node]!r} has no kinds below it: take it out of wnids.txt")
        apart = place % UNBOXED_CLASS == UNBOXED_CLASS - 1
        unboxed = set(kinds[1::UNBOXED_KIND] if len(kinds) >= LEAST_SIBLINGS else ())
        found |= {kind: "S3" if apart else "S2" if kind in unboxed else "S1" for kind in kinds}
    return found


def make(source: Path, output: Path, canvases: dict[str, int], labelled: int, tree: WordTree) -> list[str]:
    """Writes OUTPUT (see the module) and returns what to tell the user.

    Args:
        canvases: how many of each boxed set.
        labelled: how many canvases with a label a kind.
        tree: of the kinds.

    Raises:
        UserError: a file of the source is missing or wrong, a kind is not in the tree, or OUTPUT is there already.
    """
    kinds = photos.begin(source, output)
    classes = photos.coarse_nodes(tree, kinds)
    sets = divide_kinds(tree, classes)
    notes = Notes()
    read = [each for each in photos.read_train(source, kinds) if each.kind in sets and photos.is_sound(each, notes)]
    unboxed, boxed = photos.divide(read, photos.SHARE_TO_CLASSIFY)
    judged = [each for each in photos.read_val(source) if each.kind in sets and photos.is_sound(each, notes)]
    for photograph in unboxed:
        copy = output / "classify" / "train" / photograph.kind / photograph.path.name
        write_whole(copy, photos.read_bytes(photograph.path))
    lines = [f"{output / 'classify'}: train {len(unboxed)} photographs of {len(sets)} kinds"]
    table = [photos.COLUMNS]
    write_labelled(output / "labelled", unboxed, labelled, classes, tree, table)
    lines.append(f"{output / 'labelled'}: train {labelled * len(sets)} canvases of {len(sets)} kinds")
    coarse = {kind: tree.synsets[classes[kind]] for kind in sets}
    seen = [each for each in boxed if sets[each.kind] == "S1"]
    for name, split, photographs, names in (
        ("boxes", "train", seen, {kind: (coarse[kind],) for kind in sets}),
        ("oracle", "train", boxed, {kind: (kind,) for kind in sets}),
        ("judged", "val", judged, {kind: (coarse[kind], kind) for kind in sets}),
    ):
        composer = photos.Composer(photographs, photographs, SEEDS[name])
        placed = [f"{name}/{row}" for row in _canvases(composer, output / name, split, canvases[name], names)]
        table += placed
        lines.append(f"{output / name}: {split} {canvases[name]} canvases with {len(placed)} objects")
    write_whole(output / "placed.tsv", "\n".join(table) + "\n")
    rows = [(kind, tree.names[tree.find(kind)], coarse[kind], sets[kind]) for kind in sorted(sets)]
    write_whole(
        output / "kinds.tsv", "".join("\t".join(row) + "\n" for row in [("kind", "name", "class", "set"), *rows])
    )
    counts = Counter(sets.values())
    return [*lines, ", ".join(f"{name}: {counts[name]} kinds" for name in SETS), *(f"  {n}" for n in notes.lines())]


def _canvases(composer: photos.Composer, folder: Path, split: str, count: int, names: photos.Names) -> list[str]:
    """Writes the canvases, and returns their rows of placed.tsv."""
    rows: list[str] = []
    photos.write_canvases(composer, folder, split, count, names, rows)
    return rows


def write_labelled(
    folder: Path,
    photographs: Sequence[photos.Photograph],
    count: int,
    classes: dict[str, int],
    tree: WordTree,
    table: list[str],
) -> None:
    """Writes so many canvases of each kind, in the folder of the kind, and adds what lies on them to the table."""
    if len({classes[photograph.kind] for photograph in photographs}) < 2:
        raise UserError("all photographs are of one coarse class, so nothing can lie beside a label: take more kinds")
    composer = photos.Composer(photographs, photographs, SEEDS["labelled"])
    names = {kind: (tree.synsets[node],) for kind, node in classes.items()}
    by_kind: dict[str, list[photos.Photograph]] = {}
    for photograph in photographs:
        by_kind.setdefault(photograph.kind, []).append(photograph)
    for kind, own in sorted(by_kind.items()):
        for number in range(count):
            canvas, placed = labelled_canvas(composer, own[number % len(own)], classes)
            name = f"{kind}_{number:03d}"
            write_whole(folder / "train" / kind / f"{name}.jpg", photos.jpeg(canvas))
            table += [f"labelled/{row}" for row in photos.rows(name, placed, names)]


def labelled_canvas(
    composer: photos.Composer, photograph: photos.Photograph, classes: dict[str, int]
) -> tuple[Image.Image, list[photos.Placed]]:
    """A canvas with this photograph, and up to DISTRACTORS of other classes; the photograph lies first in the list."""
    canvas, placed = composer.background(), list[photos.Placed]()
    composer.lay(canvas, placed, lambda: photograph)
    for _ in range(composer.rng.integers(0, DISTRACTORS + 1)):
        composer.lay(canvas, placed, lambda: _of_another_class(composer, photograph, classes))
    return canvas, placed


def _of_another_class(
    composer: photos.Composer, photograph: photos.Photograph, classes: dict[str, int]
) -> photos.Photograph:
    while True:
        other = composer.photographs[composer.rng.integers(len(composer.photographs))]
        if classes[other.kind] != classes[photograph.kind]:
            return other


def means(kinds: Path, result: Path) -> dict[str, float | None]:
    """Mean AP50 of each set of kinds, and of the coarse classes that have S1 kinds, and of those that have not.

    Args:
        kinds: OUTPUT/kinds.tsv.
        result: what `yolo9000 evaluate --json` wrote of OUTPUT/judged.

    Raises:
        UserError: a file cannot be read, or is another one.
    """
    rows = list(csv.DictReader(read_text(kinds).splitlines(), delimiter="\t"))
    try:
        nodes = json.loads(read_text(result))["hierarchy"]["nodes"]
        ap = {node["synset"]: node["ap50"] for node in nodes}
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{result}: not what `yolo9000 evaluate --json` writes of a detector with a tree") from None
    found: dict[str, float | None] = {
        name: mean_of(ap.get(row["kind"]) for row in rows if row["set"] == name) for name in SETS
    }
    boxed = {row["class"] for row in rows if row["set"] == "S1"}
    others = {row["class"] for row in rows} - boxed
    return found | {"coarse": mean_of(map(ap.get, boxed)), "coarse without boxes": mean_of(map(ap.get, others))}


def table(output: Path, results: Sequence[Path]) -> list[str]:
    """The lines that --table prints: a result each, and the share of the gain of the first one."""
    every: list[dict[str, Any]] = [means(output / "kinds.tsv", path) for path in results]
    lines = ["\t".join(["", *every[0]])]
    for path, found in zip(results, every, strict=True):
        lines.append("\t".join([path.stem, *("-" if value is None else f"{value:.4f}" for value in found.values())]))
    if len(every) == 3:
        joint, chance, oracle = (found["S1"] for found in every)
        if None not in (joint, chance, oracle) and oracle != chance:
            lines.append(f"S1: {(joint - chance) / (oracle - chance):.3f} of what there is to gain")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, metavar="DIR", help="tiny-imagenet-200")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--labelled", type=int, default=LABELLED, metavar="N", help="labelled pictures a kind (default: 40)"
    )
    parser.add_argument("--table", type=Path, nargs="+", metavar="JSON", help="print results instead")
    options = parser.parse_args()
    try:
        if options.table:
            print("\n".join(table(options.output, options.table)))
        elif options.source is None or options.labelled < 1:
            raise UserError("say where tiny-imagenet-200 is (--source DIR), and 1 labelled canvas a kind or more")
        else:
            tree = WordTree.load_with_names(photos.TREE)
            print("\n".join(make(options.source, options.output, CANVASES, options.labelled, tree)))
    except (UserError, OSError) as error:
        print(f"yolo9000_photos_data: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
