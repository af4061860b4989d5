"""WordNet 3.0's nouns through nltk: the concepts that a WordTree is built of.

A synset is written as ImageNet writes it: "n" and the eight digits of its offset in WordNet 3.0's noun file.
"""

import functools
import warnings
from typing import Any

from yolo9000_jax.errors import UserError
from yolo9000_jax.labels import SYNSET

VERSION = "3.0"
PLACES = ("corpora/wordnet", "corpora/wordnet.zip/wordnet/")  # below a folder of nltk data: unpacked, or as downloaded
DOWNLOAD = "python -c \"import nltk; nltk.download('wordnet')\""


class WordNet:
    """The nouns of one WordNet.

    Args:
        reader: nltk's WordNetCorpusReader.
    """

    def __init__(self, reader: Any):
        self._reader = reader

    def __contains__(self, synset: str) -> bool:
        return SYNSET.fullmatch(synset) is not None and self._find(synset) is not None

    def hypernyms(self, synset: str) -> tuple[str, ...]:
        """The concepts right above, those that `synset` is an instance of included, sorted."""
        found = self._find(synset)
        return tuple(sorted({_synset_id(other) for other in found.hypernyms() + found.instance_hypernyms()}))

    def name(self, synset: str) -> str:
        """The first of the words for it: "domestic cat"."""
        return self._find(synset).lemma_names()[0].replace("_", " ")

    def gloss(self, synset: str) -> str:
        """What it means."""
        return self._find(synset).definition()

    def senses(self, name: str) -> tuple[str, ...]:
        """The concepts that a noun can mean, the commonest first; a plural is found too."""
        word = "_".join(name.split())
        return tuple(map(_synset_id, self._reader.synsets(word, "n"))) if word else ()

    @functools.cache  # noqa: B019 (there is one WordNet, and it stays)
    def _find(self, synset: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nltk warns of an unknown offset
            return self._reader.synset_from_pos_and_offset("n", int(synset[1:]))


def _synset_id(synset: Any) -> str:
    return f"n{synset.offset():08d}"


def open_wordnet() -> WordNet:
    """The WordNet 3.0 that nltk finds, under NLTK_DATA or in its usual places; the second call costs nothing.

    Raises:
        UserError: nltk or WordNet is not installed, is broken, or is another version.
    """
    try:
        import nltk
    except ImportError:
        raise UserError("building a WordTree needs nltk: pip install 'yolo9000_jax[wordtree]'") from None
    for place in PLACES:
        try:
            root = nltk.data.find(place)
        except (LookupError, OSError, ValueError):
            continue
        return _read(root)
    raise UserError(
        f"building a WordTree needs WordNet {VERSION}, which nltk doesn't find: run {DOWNLOAD}, "
        "or set NLTK_DATA to the folder that holds corpora/wordnet"
    )


@functools.lru_cache(maxsize=1)
def _read(root: Any) -> WordNet:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    place = getattr(root, "path", root)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nltk warns that only English is there
            reader = WordNetCorpusReader(root, None)
        version = reader.get_version()
    except Exception as error:  # nltk checks nothing: whatever a damaged file leads to comes out
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(f"{place}: this WordNet cannot be read ({reason}); get it anew: {DOWNLOAD}") from None
    if version != VERSION:
        raise UserError(
            f"{place}: this is WordNet {version or 'of an unknown version'}, whose numbers are not ImageNet's; "
            f"get WordNet {VERSION}: {DOWNLOAD}"
        )
    return WordNet(reader)
