"""Pascal VOC: one XML file a picture (voc_xml.py).

The layouts that are read (voc_files.py finds the files):

    DIR/ImageSets/Main/SPLIT.txt, DIR/Annotations/*.xml, DIR/JPEGImages/    the devkit's
    DIR/SPLIT/*.xml, or DIR/*.xml                                          XML files beside their pictures
    DIR/{ImageSets,Annotations,Data}/DET/                                  ImageNet's detection task

In the second the pictures may also be in a folder `images` or `JPEGImages` next to the one of the XML files. In all of
them there may be folders below, the same for XML files and pictures. Split "" or "all" is every XML file, A+B is both.
A folder that has no splits at all (`DIR/*.xml`) is taken whole under any name, which a note says; where splits exist,
an unknown name is an error. `dog_train`, a devkit's list of one class, is the pictures that it marks with 1.

Boxes count pixels from 1; those below a folder Annotations/DET or Annotations/CLS-LOC, ImageNet's, are taken to count
from 0, which a note says (voc_xml.py has why). Where none can be in pixels, all are read as fractions of their
pictures, which a note says.

Class names such as n02084071 are WordNet synsets; where ImageNet's list of them (devkit/data/map_det.txt) is there, the
classes have the names that it gives.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from yolo9000_jax.data.annotations import FRACTIONS, Annotation, Notes, are_fractions, make_records
from yolo9000_jax.data.records import Dataset
from yolo9000_jax.data.splits import Split
from yolo9000_jax.data.voc_files import VocFiles, is_imagenet
from yolo9000_jax.data.voc_pictures import Pictures
from yolo9000_jax.data.voc_xml import MAX_BYTES, Parsed, parse
from yolo9000_jax.data.walking import check_folder
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import shown
from yolo9000_jax.labels import synsets_of

SAME_TWICE = (
    "XML file repeats what another says of the same picture, and is left out",
    "XML files repeat what others say of the same pictures, and are left out",
)
FROM_0 = "below Annotations/DET or CLS-LOC, as ImageNet's: boxes are taken to count pixels from 0"


def open_voc(location: str, split: Split) -> Dataset:
    """Reads a folder in a VOC layout (see the module).

    Its classes are the sorted names in all XML files of the folder; of ImageNet's task, in those of val and the split.

    Args:
        location: the folder.
        split: which part of it.

    Raises:
        UserError: names the XML file and the object that is wrong.
    """
    folder, notes = _folder(location), Notes()
    voc = VocFiles(folder)
    try:
        files, lines = voc.of_split(split, notes)
    except OSError as error:
        place = shown(error.filename or folder)
        raise UserError(f"voc:{location}: {place} cannot be read ({error.strerror}); check the folder") from None
    files = split.pick(files, key=lambda file: file.stem)
    lines = [*lines, FROM_0] if any(map(is_imagenet, files)) else lines
    parsed = _parse_all({*files, *voc.naming})
    readable = voc.synset_names()
    classes = _names(parsed.values(), readable)
    ids, pictures = {name: index for index, name in enumerate(classes)}, Pictures(folder)
    stated = [each.stated for one in parsed.values() for each in one.objects]
    fractions = are_fractions(stated, f"voc:{location}: every <bndbox>", "write xmin, ymin, xmax, ymax in pixels")
    annotations = []
    for file in files:
        image = pictures.of(file, parsed[file].filename)
        annotations.append(_annotation(file, voc.short_name(file), parsed[file], ids, readable, image))
        if fractions:
            annotations[-1].boxes_xyxy = [each.stated for each in parsed[file].objects]
            annotations[-1].fractions = True
            for each in parsed[file].objects:
                notes.add(FRACTIONS, f"{annotations[-1].name}, {each.place}")
        for kind, place in parsed[file].notes:
            notes.add(kind, f"{annotations[-1].name}, {place}")
    records = make_records(_without_repeated(annotations, notes), notes)
    synsets = _synsets(classes, readable)
    return Dataset(f"voc:{location}", split.text, classes, records, synsets, (*lines, *notes.lines()))


def voc_classes(location: str) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """The class names of all XML files of a folder, sorted, and their synsets; no picture is looked at.

    Raises:
        UserError: there is no such folder, or an XML file is wrong.
    """
    voc = VocFiles(_folder(location))
    readable = voc.synset_names()
    names = _names(_parse_all(voc.naming).values(), readable)
    return names, _synsets(names, readable)


def voc_splits(location: str) -> list[str]:
    """The names of a devkit's lists, those of one class each left out. Raises UserError where there is no folder."""
    return VocFiles(_folder(location)).list_names


def parse_xml(file: Path) -> Parsed:
    """Reads one XML file; errors as of `voc_xml.parse`."""
    try:
        if file.is_fifo():  # opening it waits for ever
            raise UserError(f"{shown(file)} is a pipe and no file: remove it")
        with file.open("rb") as content:
            return parse(content.read(MAX_BYTES + 1), shown(file), 0 if is_imagenet(file) else 1)
    except OSError as error:
        raise UserError(f"{shown(file)}: cannot be read ({error.strerror}); check the file") from None


def _folder(location: str) -> Path:
    folder = Path(os.path.expanduser(location))
    check_folder(folder, f"voc:{location}")
    return folder


def _parse_all(files: Iterable[Path]) -> dict[Path, Parsed]:
    files = sorted(files)
    with ThreadPoolExecutor() as pool:
        return dict(zip(files, pool.map(parse_xml, files), strict=True))


def _names(parsed: Iterable[Parsed], readable: dict[str, str]) -> tuple[str, ...]:
    return tuple(sorted({readable.get(each.name, each.name) for one in parsed for each in one.objects}))


def _synsets(classes: Sequence[str], readable: dict[str, str]) -> tuple[str | None, ...]:
    known = {name: synset for synset, name in readable.items()}
    return tuple(known.get(name, synset) for name, synset in zip(classes, synsets_of(classes), strict=True))


def _annotation(
    file: Path, name: str, parsed: Parsed, ids: dict[str, int], readable: dict[str, str], image: Path
) -> Annotation:
    labels = [ids[readable.get(each.name, each.name)] for each in parsed.objects]
    return Annotation(
        name=name,
        source=str(file),
        image=image,
        boxes_xyxy=[each.corners for each in parsed.objects],
        labels=labels,
        difficult=[each.difficult for each in parsed.objects],
        places=[each.place for each in parsed.objects],
        size=parsed.size,
    )


def _without_repeated(annotations: Sequence[Annotation], notes: Notes) -> list[Annotation]:
    """Those of different pictures, and of different files of one picture; what is left out is counted."""
    kept: dict[Path, list[Annotation]] = {}
    for annotation in annotations:
        others = kept.setdefault(annotation.image, [])
        if any((one.boxes_xyxy, one.labels) == (annotation.boxes_xyxy, annotation.labels) for one in others):
            notes.add(SAME_TWICE, annotation.name)
            continue
        others.append(annotation)
    chosen = {id(one) for others in kept.values() for one in others}
    return [annotation for annotation in annotations if id(annotation) in chosen]
