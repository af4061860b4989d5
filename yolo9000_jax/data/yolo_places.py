"""Where the files are that a data.yaml, a .data file or a list names, on whatever machine and system it was written.

A path is looked for as it is written, from each root in turn, with backslashes or slashes and in any Unicode form; then
without its first folders, more and more of them: `data/obj_train_data/a.jpg` (CVAT), `../train/images` (Roboflow) and
`C:\\Users\\me\\set\\images\\a.jpg` are then found beside the file that names them, which the notes say. A list may name
pictures anywhere on the machine: it is the user's own statement.
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from yolo9000_jax.data.annotations import Notes
from yolo9000_jax.data.messages import quote
from yolo9000_jax.data.pictures import has_picture_ending
from yolo9000_jax.files import MOST_FOLDERS, find, matching, shown, without_comment

MOVED = (
    "path is not there as it is written, and was found without its first folders",
    "paths are not there as they are written, and were found without their first folders",
)
QUOTES = "\"' "  # round a path
_UPWARDS = re.compile(r"^(\.\.?[\\/])+")  # as Roboflow's paths begin
_SPLIT_FOLDER = re.compile(r"train|val|test", re.IGNORECASE)


class Places:
    """Finds what is written from some roots, and says what it had to leave out.

    Args:
        roots: folders where a relative path may begin, in the order in which they are tried.
        notes: counts the paths that were found elsewhere than written.
        moved: folders where a path is looked for without its first folders; None: the roots.
    """

    def __init__(self, roots: Sequence[Path], notes: Notes, moved: Sequence[Path] | None = None):
        self.roots = list(roots)
        self._moved_to = self.roots if moved is None else list(moved)
        self._notes = notes
        self._folders: dict[str, Path] = {}  # of paths found without their first folders: as written -> where it is

    def find(self, written: str, test: Callable[[Path], bool], keep_split: bool = False) -> Path | None:
        """The file or folder that is meant, or None.

        Args:
            written: the path, perhaps in quotes, and perhaps with a comment behind it: `a.jpg  # blurred`.
            test: what it must be, such as `Path.is_file`.
            keep_split: whether a folder that tells the split ("test/images") may not be left out: "images" is another.
        """
        bare, uncommented = written.strip(QUOTES), without_comment(written).strip(QUOTES)
        for text in dict.fromkeys((written, bare, uncommented)):
            if found := self._from(self.roots, os.path.expanduser(text), test):
                return found
        for text in dict.fromkeys((uncommented, bare)):
            if found := self._without_first_folders(text, test, keep_split):
                return found
        return None

    def matching(self, written: str, wanted: Callable[[Path], bool] = has_picture_ending) -> list[Path]:
        """The wanted files and the folders that a pattern such as `images/cam*` names; other files where none is.

        Raises:
            UserError: see `files.matching`.
        """
        bare = without_comment(written).strip(QUOTES)
        for pattern in dict.fromkeys((bare, _UPWARDS.sub("", bare, count=1))):
            for root in self.roots:
                found = matching(root, os.path.expanduser(pattern))
                if chosen := [place for place in found if wanted(place) or place.is_dir()] or found:
                    return chosen
        return []

    @staticmethod
    def _from(roots: Sequence[Path], path: str, test: Callable[[Path], bool]) -> Path | None:
        places = (find(root, path, test, any_case=True) for root in roots if path)
        return next(filter(None, places), None)

    def _without_first_folders(self, written: str, test: Callable[[Path], bool], keep_split: bool) -> Path | None:
        folder, _, name = written.replace("\\", "/").rpartition("/")
        if folder in self._folders and (found := find(self._folders[folder], name, test)):
            return self._moved(written, found)
        parts = [part for part in re.split(r"[\\/]", written) if part not in ("", ".", "..")][-MOST_FOLDERS:]
        for start in range(len(parts)):
            if start and keep_split and _SPLIT_FOLDER.match(parts[start - 1]):
                return None
            tail = "/".join(parts[start:])
            if without_comment(written) != written and without_comment(tail) == tail:
                return None  # what is left stands in the comment
            if found := self._from(self._moved_to, tail, test):
                if not keep_split:
                    self._folders[folder] = found.parent
                return self._moved(written, found)
        return None

    def _moved(self, written: str, found: Path) -> Path:
        self._notes.add(MOVED, f"{quote(written, 200)} as {shown(found)}", key=written)
        return found
