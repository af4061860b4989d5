"""The picture of an XML file of Pascal VOC's kind."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from yolo9000_jax.data.messages import quote
from yolo9000_jax.data.voc_files import ANNOTATIONS, PICTURES
from yolo9000_jax.errors import UserError
from yolo9000_jax.files import is_system_file, one_form, shown
from yolo9000_jax.images.reading import EXTENSIONS

HEADS = 3  # folders of a path that <filename> states, at most, that are looked for
LEVELS = 4  # between Annotations and the data set, at most, where that is below: Annotations/DET/train/X/n01440764


class Pictures:
    """Finds the picture of an XML file; lists each folder once.

    It is beside the XML file, or where one of the folders of its path is replaced by JPEGImages, images or the like:
    Annotations/cam1/f0.xml has JPEGImages/cam1/f0.jpg or JPEGImages/f0.jpg.

    Args:
        root: the folder of the data set.
    """

    def __init__(self, root: Path):
        self._root = root.absolute()
        self._places_of: dict[Path, list[Path]] = {}
        self._folders: dict[Path, tuple[dict[str, Path], dict[str, list[Path]]]] = {}

    def of(self, file: Path, filename: str) -> Path:
        """The picture that <filename> names, or the one with the XML file's own stem where that is missing.

        Of <filename> the ends of its path count, whatever its ending; blanks, case and form of its letters may differ.

        Raises:
            UserError: there is none, there are both and they are two, or several that differ in their endings.
        """
        *above, stated = filename.replace("\\", "/").split("/")
        above = [] if ".." in above else [part for part in above if part.strip(".") and not part.endswith(":")]
        heads = ["/".join(above[start:]) for start in range(-min(len(above), HEADS), 0)]
        stem, _, ending = stated.rpartition(".")
        stem = stem if f".{ending.lower()}" in EXTENSIONS else stated
        for place in self._places(file.parent):
            for head in heads:
                if named := self._find(place / head, stated, stem, file):
                    return named
            named = self._find(place, stated, stem, file)
            if named and one_form(named.stem) == one_form(file.stem):
                return named
            own = self._find(place, "", file.stem, file)
            if named and own and named.stem != own.stem:
                raise UserError(f"{file}: <filename> is {named.name}, but {own.name} is there too: correct <filename>")
            if found := named or own:
                return found
        names = f"{file.stem}.jpg" if stem in ("", file.stem) else f"{quote(stated)[1:-1]} or {file.stem}.jpg"
        raise UserError(
            f"{file}: there is no picture {names}, here or in ../JPEGImages: fetch it, or remove the XML file"
        )

    def _places(self, folder: Path) -> list[Path]:
        """Where the pictures of XML files in `folder` may be, the likeliest first."""
        if folder not in self._places_of:
            here = folder.absolute()
            places = [folder]
            for above in _replaceable(here, self._root):
                for pictures in _picture_folders(above.parent):
                    places += [pictures / here.relative_to(above), pictures]
                places += [] if above == self._root else [above.parent]
            places += _picture_folders(here)
            self._places_of[folder] = list(dict.fromkeys(places))
        return self._places_of[folder]

    def _find(self, folder: Path, name: str, stem: str, file: Path) -> Path | None:
        """The picture called `name`, else the one whose stem is `stem`, for an XML file."""
        if folder not in self._folders:
            files = [folder / each for each in reversed(_listdir(folder)) if each.lower().endswith(EXTENSIONS)]
            names = {one_form(file.name).lower(): file for file in files} | {one_form(f.name): f for f in files}
            stems: dict[str, list[Path]] = {}
            for picture in reversed(files):
                for form in {one_form(picture.stem), one_form(picture.stem).lower()}:
                    stems.setdefault(form, []).append(picture)
            self._folders[folder] = names, stems
        names, stems = self._folders[folder]
        name, stem = one_form(name), one_form(stem)
        if found := names.get(name) or names.get(name.lower()):
            return found
        several = [each for each in stems.get(stem, []) if one_form(each.stem) == stem] or stems.get(stem.lower(), [])
        if len(several) > 1:
            there = " and ".join(shown(picture.name) for picture in several)
            raise UserError(f"{file}: it may be of {there}: name one of them in <filename>, or remove the others")
        return several[0] if several else None


def _replaceable(here: Path, root: Path) -> Iterator[Path]:
    """`here` and the folders above it: up to that of all XML files, else to below the data set's own.

    The folder of all XML files may lie above the data set's, as where that is Annotations/DET/val.
    """
    chain = (here, *here.parents)
    inside = [above for above in chain if above.is_relative_to(root) and above.name.lower() in ANNOTATIONS]
    outside = [above for above in root.parents[:LEVELS] if above.name.lower() == ANNOTATIONS[0]]
    if ends := inside or outside:
        yield from chain[: chain.index(ends[0]) + 1]
    else:
        yield here
        yield from (above for above in chain[1:] if above != root and above.is_relative_to(root))


def _picture_folders(folder: Path) -> list[Path]:
    there = {name.lower(): folder / name for name in reversed(_listdir(folder))}
    return [there[name] for name in PICTURES if name in there]


def _listdir(folder: Path) -> list[str]:
    """The names in a folder, sorted, none of a system's; nothing where it is no folder that can be read."""
    with suppress(OSError, ValueError):
        return sorted(name for name in os.listdir(folder) if not is_system_file(name))
    return []
