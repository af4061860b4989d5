"""WordNet for the tests: a small one of their own, or the real one."""

import pytest

from tests.wordtree.wordnet_files import write_wordnet


@pytest.fixture
def small_wordnet(tmp_path, monkeypatch):
    """nltk finds the small WordNet; the synset of each of its nouns."""
    nltk = pytest.importorskip("nltk")
    synsets = write_wordnet(tmp_path / "nltk_data")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk_data")])
    return synsets


@pytest.fixture
def real_wordnet():
    """Skips the test where WordNet 3.0 isn't installed."""
    pytest.importorskip("nltk")
    from yolo9000_jax.errors import UserError
    from yolo9000_jax.wordtree.wordnet import open_wordnet

    try:
        return open_wordnet()
    except UserError as error:
        pytest.skip(str(error))
