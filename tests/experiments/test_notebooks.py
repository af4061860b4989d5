"""The notebooks run from top to bottom, shortened, twice in one session, and are committed without outputs."""

import copy
import os

import nbformat
import pytest
from nbclient import NotebookClient

import yolo9000_jax as y9
from tests.helpers import ROOT
from tests.wordtree.wordnet_files import NOUNS, write_wordnet

NOTEBOOKS = sorted((ROOT / "experiments").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_runs_from_top_to_bottom_and_again(path, tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO9000_NOTEBOOK_SHORT", "1")
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # there is no network
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    notebook = nbformat.read(path, as_version=4)
    once = len(notebook.cells)
    notebook.cells += copy.deepcopy(notebook.cells)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for cells in (notebook.cells[:once], notebook.cells[once:]):
        outputs = str([cell.get("outputs") for cell in cells])
        assert "3 priors" in outputs and "data:image/png" in outputs and "'image/png'" in outputs
        last = cells[-1].outputs
        assert len(last) == 1 and last[0].name == "stdout"
        assert last[0].text.startswith("building a WordTree needs WordNet") and last[0].text.count("\n") == 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_is_committed_without_outputs(path):
    assert not [cell for cell in nbformat.read(path, as_version=4).cells if cell.get("outputs")]


def test_ten_words_become_a_tree_where_wordnet_is(tmp_path, monkeypatch, capsys):
    import nltk

    nouns: dict = {name: NOUNS[name] for name in ("entity", "physical", "abstraction")}
    nouns["animal"] = (["animal"], ["physical"], "it lives", None)
    places = {"dog": 2084071, "wolf": 2114100, "cat": 2121620, "lion": 2129165, "tiger": 2129604, "horse": 2374451}
    nouns |= {word: ([word], ["animal"], "an animal", place) for word, place in places.items()}
    nouns |= {word: ([word], ["physical"], "a thing", None) for word in ("accordion", "bicycle", "taxi")}
    nouns["banana"] = (["banana"], ["physical"], "a fruit", 7753592)
    write_wordnet(tmp_path / "there", nouns)
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "there")])
    monkeypatch.setattr(nltk, "download", lambda *_, **__: False)  # there is no network
    cells = nbformat.read(ROOT / "experiments/colab.ipynb", as_version=4).cells
    exec(cells[-1].source, {"y9": y9})
    said = capsys.readouterr().out
    assert all(word in said for word in ("animal", "dog", "cat", "lion", "horse", "banana", "taxi")), said
    monkeypatch.setattr(nltk.data, "path", [])
    exec(cells[-1].source, {"y9": y9})
    assert capsys.readouterr().out.startswith("building a WordTree needs WordNet 3.0, which nltk doesn't find: run ")
