"""docs/: what the code says of it is there, and what it says of the code is too."""

import re
import runpy
from pathlib import Path

import pytest

from tests.helpers import ROOT
from yolo9000_jax import config as configs

DARKNET = (ROOT / "docs/darknet.md").read_text()
NUMBER = r"\d+(?:\.\d+)?"
# "darknet.md 7.3", "darknet.md 5 and 7", "darknet.md 3 to 5 and 12", also where a comment's line ends in between.
REFERENCE = re.compile(rf"darknet\.md[\s#]+({NUMBER}(?:(?:, | and | to ){NUMBER})*)")
ITEM = re.compile(r"darknet\.md[\s#]+14,? item (\d+)")


def sources() -> list[Path]:
    """All text that may refer to the documents."""
    folders = ("yolo9000_jax", "experiments", "tests", "docs")
    found = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".c"))
    return [*found, ROOT / "README.md"]


def references(pattern: re.Pattern) -> list[tuple[str, str]]:
    """(file, number) of each match."""
    return [
        (str(path.relative_to(ROOT)), number)
        for path in sources()
        for match in pattern.findall(path.read_text())
        for number in re.findall(NUMBER, match)
    ]


def test_every_section_that_is_named_exists():
    headings = set(re.findall(rf"^##+ ({NUMBER})\.? ", DARKNET, re.MULTILINE))
    named = references(REFERENCE)
    assert len(named) > 100
    assert [(path, number) for path, number in named if number not in headings] == []


def test_every_item_of_section_14_that_is_named_exists():
    items = set(re.findall(r"^\| (\d+) \|", DARKNET.split("\n## 14.")[1], re.MULTILINE))
    named = references(ITEM)
    assert named and [(path, number) for path, number in named if number not in items] == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.stem)
def test_every_file_that_is_named_exists(path):
    text = path.read_text()
    tests = re.findall(r"`(tests/[\w/.]+)::(\w+)`", text)
    named = re.findall(r"`((?:tests|experiments|yolo9000_jax)/[\w/.]+)`", text) + [name for name, _ in tests]
    named += [str((path.parent / link).resolve()) for link in re.findall(r"\]\((?!http|#)([^)#]+)", text)]
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert [(name, test) for name, test in tests if f"\ndef {test}(" not in (ROOT / name).read_text()] == []


def test_all_that_pip_may_install_is_explained(monkeypatch):
    asked = {}
    monkeypatch.setattr("setuptools.setup", asked.update)
    runpy.run_path(str(ROOT / "setup.py"))
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/install.md").read_text(), re.MULTILINE)
    packages = [name.lower().replace("_", "-") for row in rows for name in row.split(", ")]
    wanted = [re.match(r"[\w-]+", each).group() for each in asked["install_requires"]]
    assert len(wanted) > 5 and [name for name in wanted if name not in packages] == []
    assert [name for name in asked["extras_require"] if f"`{name}`" not in packages] == []


def test_every_key_that_is_named_exists():
    """Of the paper's table; a key's name stands in backquotes, alone or with its value."""
    keys, groups = configs.flat(configs.detection()), set(configs.detection())
    named = re.findall(r"`(\w+\.\w+)(?:=[^`]*)?`", (ROOT / "docs/paper.md").read_text())
    named = [name for name in named if name.partition(".")[0] in groups]
    assert len(named) > 20 and [name for name in named if name not in keys] == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.stem)
def test_every_link_within_a_document_leads_to_a_heading(path):
    text = path.read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert [link for link in re.findall(r"\]\(#([^)]+)\)", text) if link not in anchors] == []
