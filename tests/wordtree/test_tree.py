"""WordTree: structure against Darknet's numbers, files, and hostile files."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers import golden_dir, golden_root
from yolo9000_jax.errors import UserError
from yolo9000_jax.wordtree import lines
from yolo9000_jax.wordtree import tree as tree_module
from yolo9000_jax.wordtree.tree import WordTree, load_map, read_names


def _golden_trees():
    names = [path.stem.removeprefix("tree_") for path in sorted((golden_root() / "unit").glob("tree_*.npz"))]
    return names or [pytest.param(None, marks=pytest.mark.skip(reason="no golden files"))]


@pytest.fixture
def pets():
    """Two roots; animal: (dog: (pug, corgi), cat), thing: (cup)."""
    synsets = ("n0", "n1", "n2", "n3", "n4", "n5", "n6")
    names = ("animal", "thing", "dog", "cat", "cup", "pug", "corgi")
    return WordTree(synsets, np.array([-1, -1, 0, 0, 1, 2, 2]), names)


@pytest.mark.parametrize("name", _golden_trees())
def test_golden_structure(name):
    tree = WordTree.load(golden_dir() / f"data/{name}.tree")
    expected = np.load(golden_dir() / f"unit/tree_{name}.npz")
    np.testing.assert_array_equal(tree.parents, expected["parent"])
    np.testing.assert_array_equal(tree.groups, expected["group"])
    np.testing.assert_array_equal(tree.group_sizes, expected["group_size"])
    np.testing.assert_array_equal(tree.group_offsets, expected["group_offset"])
    np.testing.assert_array_equal(tree.child_groups, expected["child_group"])
    np.testing.assert_array_equal(tree.leaves, expected["leaf"] != 0)


@pytest.mark.parametrize("name", _golden_trees())
def test_golden_maps_load_and_name_nodes(name):
    tree = WordTree.load(golden_dir() / f"data/{name}.tree")
    for path in (golden_dir() / "data").glob(f"*{name}.map"):
        nodes = load_map(path, tree)
        np.testing.assert_array_equal(nodes, np.loadtxt(path, dtype=int))


def test_walks(pets):
    assert pets.path(6) == (0, 2, 6)
    assert pets.ancestors(6) == (2, 0)
    assert pets.ancestors(0) == ()
    assert list(pets.children(2)) == [5, 6]
    assert list(pets.children(5)) == []
    assert pets.lowest_common_ancestor(5, 6) == 2
    assert pets.lowest_common_ancestor(5, 3) == 0
    assert pets.lowest_common_ancestor(5, 2) == 2
    assert pets.lowest_common_ancestor(5, 4) is None
    assert pets.depths.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert pets.paths.tolist()[:3] == [[0, -1, -1], [1, -1, -1], [0, 2, -1]]
    for node in (-1, 7):
        with pytest.raises(UserError, match="no node"):
            pets.path(node)


def test_find(pets):
    assert pets.find("n5") == pets.find("pug") == 5
    with pytest.raises(UserError, match="no node is called 'horse'"):
        pets.find("horse")
    twins = WordTree(("a", "b", "c"), np.array([-1, -1, -1]), ("crane", "crane", "x"))
    with pytest.raises(UserError, match="2 nodes are called 'crane'.*a, b"):
        twins.find("crane")


def test_nodes_by_number_synset_or_name(pets):
    assert pets.find(5) == pets.find(np.int32(5)) == pets.find("5") == 5
    assert pets.path("pug") == pets.path("n5") == pets.path(5) == (0, 2, 5)
    assert pets.lowest_common_ancestor("pug", "cat") == 0 and list(pets.children("dog")) == [5, 6]
    assert pets.show("dog") == pets.show(2)
    found = pets.find_all(["cat", 6, "n1"])
    assert found.tolist() == [3, 6, 1] and found.dtype == np.int32
    for node, message in ((7, "no node 7"), ("7", "no node 7"), (1.5, "1.5 is no node"), (None, "None is no node")):
        with pytest.raises(UserError, match=message):
            pets.find(node)
    numbers = WordTree(("1", "0"), np.array([-1, -1]), ("zero", "one"))
    assert numbers.find("1") == 0 and numbers.find(1) == 1, "a synset goes before a number"


def test_equal_by_content(pets, tmp_path):
    pets.save(tmp_path / "pets.tree", tmp_path / "pets.names")
    again = WordTree.load(tmp_path / "pets.tree", tmp_path / "pets.names")
    assert again == pets and hash(again) == hash(pets) and again.source != pets.source
    assert len({again, pets}) == 1 and pets != "pets"
    parents = np.array([-1, -1, 0, 0, 1, 3, 3])
    others = (
        WordTree.load(tmp_path / "pets.tree"),
        WordTree(pets.synsets, parents, pets.names),
        WordTree((*pets.synsets[:-1], "n9"), pets.parents, pets.names),
    )
    assert all(other != pets for other in others) and len({pets, *others}) == 4


def test_repr_is_short(pets):
    assert repr(pets) == "<WordTree tree: 7 nodes, 4 leaves, 3 levels>"


def test_show(pets):
    assert pets.show(2) == "dog n2 #2\n  pug n5 #5\n  corgi n6 #6"
    assert pets.show(0, depth=1) == "animal n0 #0\n  dog n2 #2\n  cat n3 #3"
    assert pets.show(depth=0) == "animal n0 #0\nthing n1 #1"
    assert len(pets.show().splitlines()) == len(pets)


def test_immutable(pets):
    for array in (pets.parents, pets.groups, pets.paths, pets.leaves):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        pets.names = ()


def test_save_and_load(pets, tmp_path):
    pets.save(tmp_path / "pets.tree", tmp_path / "pets.names")
    again = WordTree.load(tmp_path / "pets.tree", tmp_path / "pets.names")
    assert (again.synsets, again.names) == (pets.synsets, pets.names)
    np.testing.assert_array_equal(again.parents, pets.parents)
    assert WordTree.load(tmp_path / "pets.tree").names == pets.synsets


def test_load_takes_windows_line_ends_and_tabs(tmp_path):
    (tmp_path / "a.tree").write_bytes(b"\xef\xbb\xbfa -1\r\nb\t0\r\n\r\n")
    assert WordTree.load(tmp_path / "a.tree").parents.tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        ("a -1\nb one\n", "line 2"),
        ("a -1\nb 0 0\n", "line 2"),
        ("a -1\n\nb 0\n", "line 2"),
        ("a -1\nb 1_0\n", "line 2"),
        ("a -1\nb 99999999999999999999\n", "line 2"),
        ("a -1\nb 1\n", "line 2.*parent 1"),
        ("a 1\nb 0\n", "line 1.*parent 1"),
        ("a -1\nb -2\n", "line 2.*parent -2"),
        ("a -1\nb 0\nc 1\nd 0\n", "line 4.*siblings"),
        ("a -1\nb 0\nc -1\n", "line 3.*siblings"),
        ("a -1\nb -1\na -1\n", "line 3.*line 1"),
        ("a -1\nb\x1b[2J -1\n", "line 2.*printable"),
        ("".join(f"n{i} {i - 1}\n" for i in range(100)), "line 65.*levels"),
    ],
)
def test_bad_trees_are_refused_by_line(tmp_path, text, message):
    path = tmp_path / "bad.tree"
    path.write_text(text)
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}.*{message}") as error:
        WordTree.load(path)
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)


def test_unreadable_files_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="No such file"):
        WordTree.load(tmp_path / "missing.tree")
    with pytest.raises(UserError, match="directory"):
        WordTree.load(tmp_path)
    (tmp_path / "latin.tree").write_bytes(b"a -1\n\xe9 0\n")
    with pytest.raises(UserError, match="line 2: not UTF-8"):
        WordTree.load(tmp_path / "latin.tree")
    monkeypatch.setattr(lines, "MAX_FILE_BYTES", 4)
    with pytest.raises(UserError, match="larger"):
        WordTree.load(tmp_path / "latin.tree")
    monkeypatch.setattr(tree_module, "MAX_NODES", 1)
    with pytest.raises(UserError, match="at most 1"):
        WordTree(("a", "b"), np.array([-1, -1]))


@pytest.mark.parametrize("start, encoding", [("\ufeff", "utf-8"), ("", "utf-16"), ("", "utf-8")])
def test_files_of_other_systems(pets, tmp_path, start, encoding):
    pets.save(tmp_path / "a.tree", tmp_path / "a.names")
    for name in ("a.tree", "a.names"):
        text = start + (tmp_path / name).read_text().replace("\n", "\r\n")
        (tmp_path / name).write_bytes(text.encode(encoding))
    assert WordTree.load_with_names(tmp_path / "a.tree") == pets


def test_an_unknown_node_gets_the_nearest(pets):
    name = pets.names[3]
    for near in (f"{name}x", name.upper(), name[:-1]):
        with pytest.raises(UserError, match=f"no node is called {near!r}; did you mean .*{name!r}"):
            pets.find_all([near])
    with pytest.raises(UserError, match="give a synset or a name"):
        pets.find("qqqqqqqqqqqqqq")


def test_names_must_fit_the_tree(pets, tmp_path):
    pets.save(tmp_path / "pets.tree")
    (tmp_path / "few.names").write_text("a\nb\n")
    with pytest.raises(UserError, match="few.names: 2 names.*7 nodes"):
        WordTree.load(tmp_path / "pets.tree", tmp_path / "few.names")
    (tmp_path / "blank.names").write_text("a\n\nb\n")
    with pytest.raises(UserError, match="blank.names, line 2"):
        read_names(tmp_path / "blank.names")
    with pytest.raises(UserError, match="1 parents for 2 nodes"):
        WordTree(("a", "b"), np.array([-1]))


@pytest.mark.parametrize("line", ["7", "-1", "1.5", "", "dog"])
def test_maps_must_name_nodes(pets, tmp_path, line):
    path = tmp_path / "bad.map"
    path.write_text(f"0\n{line}\n3\n")
    with pytest.raises(UserError, match="bad.map, line 2"):
        load_map(path, pets)


_LINES = st.lists(st.builds("{} {}".format, st.sampled_from("abcdefgh"), st.integers(-3, 8)) | st.text(max_size=12))
_FILES = st.binary(max_size=200) | _LINES.map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass"))


@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_FILES)
def test_any_file_loads_or_raises_user_error(tmp_path, content):
    path = tmp_path / "fuzz"
    path.write_bytes(content)
    for load in (WordTree.load, read_names):
        try:
            assert len(load(path)) > 0
        except UserError as error:
            assert "\n" not in str(error)


@st.composite
def parents_lists(draw, max_groups=6, max_size=5):
    """Parents of a random valid tree."""
    parents = [-1] * draw(st.integers(1, max_size))
    for _ in range(draw(st.integers(0, max_groups))):
        free = sorted(set(range(len(parents))) - set(parents))
        parents += [draw(st.sampled_from(free))] * draw(st.integers(1, max_size))
    return parents


@settings(max_examples=200, deadline=None)
@given(parents=parents_lists())
def test_structure_of_random_trees(parents):
    tree = WordTree(tuple(f"n{i}" for i in range(len(parents))), np.array(parents))
    for node, parent in enumerate(parents):
        expected = (*tree.path(parent), node) if parent >= 0 else (node,)
        assert tree.path(node) == expected
        assert tree.depths[node] == len(expected) - 1
        start, size = tree.group_offsets[tree.groups[node]], tree.group_sizes[tree.groups[node]]
        siblings = [other for other, its_parent in enumerate(parents) if its_parent == parent]
        assert list(range(start, start + size)) == siblings
        assert list(tree.children(node)) == [child for child, its_parent in enumerate(parents) if its_parent == node]
        assert tree.leaves[node] == (node not in parents)
