"""Tables of results: aligned text for a terminal, Markdown, and (with comparisons.plot_table) a picture."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from yolo9000_jax.errors import UserError

MISSING = "–"
GAP = "  "  # between the columns
LEAST_NOTE = 80  # characters in a line of a narrow table's note
_NUMBER = re.compile(r"[-+−±<>~≈ ]*\.?\d[^A-Za-z]*")


@dataclass(frozen=True)
class Table:
    """Columns and rows of text; a column that holds nothing but numbers stands flush right.

    columns: the heads. rows: one sequence of cells a row, each a str, or None for a missing one, shown as a dash.
    title: stands above. note: stands below, such as where the numbers come from that are not ours.

    Raises:
        UserError: a row has not as many cells as there are columns.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str | None]]
    title: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise UserError(f"table, row {number}: {len(row)} cells for {len(self.columns)} columns")

    def text(self) -> str:
        """Aligned lines, for a terminal."""
        lines, flush_right, widths = self.lines(), self.flush_right(), self._widths()
        lines.insert(1, ["-" * width for width in widths])
        aligned = [_join(line, widths, flush_right) for line in lines]
        return "\n".join([*([self.title] if self.title else []), *aligned, *self.note_lines()])

    def markdown(self) -> str:
        """A Markdown table and its note; the title is left to the text around it."""
        lines, flush_right = self.lines(), self.flush_right()
        lines = [[cell.replace("|", "\\|") for cell in line] for line in lines]
        lines.insert(1, ["---:" if right else "---" for right in flush_right])
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "".join(
            f"\n\n{line}" for line in self.note.splitlines()
        )

    def lines(self) -> list[list[str]]:
        """The heads, then the rows, every cell a str."""
        return [list(self.columns), *([MISSING if cell is None else cell for cell in row] for row in self.rows)]

    def note_lines(self) -> list[str]:
        """The note in lines about as long as the table is wide."""
        width = max(LEAST_NOTE, sum(self._widths()) + len(GAP) * (len(self.columns) - 1))
        return [line for part in self.note.splitlines() for line in textwrap.wrap(part, width)]

    def flush_right(self) -> list[bool]:
        """Which columns are of numbers."""
        columns = [[row[place] for row in self.rows] for place in range(len(self.columns))]
        cells = [[cell for cell in column if cell is not None] for column in columns]
        return [all(_NUMBER.fullmatch(cell) for cell in column) and bool(column) for column in cells]

    def _widths(self) -> list[int]:
        return [max(map(len, column)) for column in zip(*self.lines(), strict=True)]


def _join(cells: Sequence[str], widths: Sequence[int], flush_right: Sequence[bool]) -> str:
    places = zip(cells, widths, flush_right, strict=True)
    return GAP.join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in places).rstrip()


def short_names(datasets: Iterable[str]) -> list[str]:
    """Each data set's "SOURCE split" with the last part of the path for the source, unless that makes two equal."""
    datasets = list(datasets)
    short = []
    for source, _, split in (dataset.rpartition(" ") for dataset in datasets):
        places = [PurePath(part.partition(":")[2].split(",")[0] or part) for part in source.split("+")]
        names = [place.parent.name if place.suffix in (".yaml", ".yml") else place.stem for place in places]
        short.append(f"{'+'.join(names)} {split}" if all(names) else f"{source} {split}")
    return short if len(set(short)) == len(short) else datasets
