"""A small WordNet, written in WordNet's own format, and the places of the real one and of label lists."""

import os
from pathlib import Path

import pytest

from tests.helpers import ROOT

HEADER = "  1 This is made for tests in the format of WordNet {version} Copyright nobody  \n"

# name: (words, hypernyms, gloss, offset or None); an "i" before a hypernym makes it an instance of that
NOUNS = {
    "entity": (["entity"], [], "what is", 1740),
    "physical": (["physical_entity"], ["entity"], "what has physical existence", 1930),
    "abstraction": (["abstraction", "abstract_entity"], ["entity"], "a general concept", 2137),
    "object": (["object", "physical_object"], ["physical"], "a tangible thing", None),
    "agent": (["causal_agent"], ["physical"], "what causes something", None),
    "animal": (["animal", "beast"], ["object"], "a living thing that moves", None),
    "person": (["person", "human"], ["animal", "agent"], "a human being", None),
    "carnivore": (["carnivore"], ["animal"], "an eater of flesh", None),
    "canine": (["canine"], ["carnivore"], "dogs and the like", None),
    "feline": (["feline"], ["carnivore"], "cats and the like", None),
    "domestic": (["domestic_animal"], ["animal"], "a tame animal", None),
    "dog": (["dog", "domestic_dog"], ["canine", "domestic"], "a member of the genus Canis", None),
    "chap": (["chap", "dog"], ["person"], "informal term for a man", None),
    "cat": (["cat"], ["feline"], "a mammal with soft fur", None),
    "house_cat": (["domestic_cat", "house_cat"], ["cat", "domestic"], "any tame cat", None),
    "lion": (["lion"], ["feline"], "a large cat", None),
    "lassie": (["Lassie"], ["idog"], "a collie of the films", None),
    "crane_bird": (["crane"], ["animal"], "a large wading bird", None),
    "machine": (["machine"], ["object"], "a device", None),
    "crane_machine": (["crane"], ["machine"], "lifts and moves heavy objects", None),
    "signal": (["signal"], ["abstraction"], "a communication", None),
    "light": (["traffic_light"], ["signal"], "a visual signal", None),
}


def write_wordnet(folder: Path, nouns: dict = NOUNS, version: str = "3.0") -> dict[str, str]:
    """Writes `folder/corpora/wordnet`; returns the synset of each noun."""
    root = folder / "corpora" / "wordnet"
    root.mkdir(parents=True)
    offsets = _offsets(nouns, version)
    header = HEADER.format(version=version)
    content = header.ljust(1739) + "\n"
    for noun, (_, _, _, place) in nouns.items():
        if place is not None and len(content) < place:  # blanks at a line's end are nothing
            content = content[:-1].ljust(place - 1) + "\n"
        assert len(content) == offsets[noun]
        content += _line(noun, nouns, offsets)
    (root / "data.noun").write_bytes(content.encode())
    (root / "index.noun").write_text(header + _index(nouns, offsets))
    for part in ("adj", "adv", "verb"):
        (root / f"data.{part}").write_text(header)
        (root / f"index.{part}").write_text(header)
    for name in ("adj.exc", "adv.exc", "noun.exc", "verb.exc", "index.sense", "cntlist.rev"):
        (root / name).write_text("")
    (root / "lexnames").write_text("00\tadj.all\t3\n01\tadj.pert\t3\n02\tadv.all\t4\n03\tnoun.Tops\t1\n")
    return {noun: f"n{offset:08d}" for noun, offset in offsets.items()}


def _offsets(nouns, version) -> dict[str, int]:
    unknown = dict.fromkeys(nouns, 0)  # a line's length does not depend on the offsets in it
    offsets, end = {}, 1740
    for noun, (_, _, _, place) in nouns.items():
        offsets[noun] = end if place is None else place
        assert offsets[noun] >= end, noun
        end = offsets[noun] + len(_line(noun, nouns, unknown))
    return offsets


def _line(noun, nouns, offsets) -> str:
    words, hypernyms, gloss, _ = nouns[noun]
    pointers = [("@i", other[1:]) if other not in nouns else ("@", other) for other in hypernyms]
    above = "".join(f" {symbol} {offsets[other]:08d} n 0000" for symbol, other in pointers)
    text = " ".join(f"{word} 0" for word in words)
    return f"{offsets[noun]:08d} 03 n {len(words):02x} {text} {len(pointers):03d}{above} | {gloss}  \n"


def _index(nouns, offsets) -> str:
    senses: dict[str, list[str]] = {}
    for noun, (words, *_) in nouns.items():
        for word in words:
            senses.setdefault(word.lower(), []).append(noun)
    lines = []
    for word, found in sorted(senses.items()):
        places = " ".join(f"{offsets[noun]:08d}" for noun in found)
        lines.append(f"{word} n {len(found)} 1 @ {len(found)} 0 {places}  \n")
    return "".join(lines)


def labels_dir() -> Path:
    """The folder of the released tree and of well-known label lists; skips the test where it is missing."""
    path = Path(os.environ.get("YOLO9000_LABELS", ROOT.parent / "shared/labels"))
    if not path.is_dir():
        pytest.skip("no label lists: set YOLO9000_LABELS to their folder")
    return path
