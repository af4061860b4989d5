"""Trees joined, compared, shipped; the command line."""

import numpy as np
import pytest

from yolo9000_jax.errors import UserError
from yolo9000_jax.wordtree.compare import compare_trees
from yolo9000_jax.wordtree.merge import merge_trees
from yolo9000_jax.wordtree.tree import WordTree, load_map, save_map


def _tree(outline, source="tree"):
    """A tree of {node: parent or None}; siblings must be in a row."""
    nodes = list(outline)
    parents = [-1 if parent is None else nodes.index(parent) for parent in outline.values()]
    return WordTree(tuple(nodes), np.array(parents), source=source)


def _outline(tree):
    return {s: tree.synsets[p] if p >= 0 else None for s, p in zip(tree.synsets, tree.parents, strict=True)}


def test_merge_joins_by_synset():
    pets = _tree({"animal": None, "dog": "animal", "cat": "animal"})
    dogs = _tree({"dog": None, "poodle": "dog", "pug": "dog"})
    tools = _tree({"tool": None, "saw": "tool"})
    expected = {"animal": None, "tool": None, "cat": "animal", "dog": "animal", "saw": "tool"}
    expected |= {"poodle": "dog", "pug": "dog"}
    for trees in ([pets, dogs, tools], [dogs, tools, pets]):
        assert _outline(merge_trees(trees)) == expected
    assert _outline(merge_trees([pets])) == _outline(pets)


def test_merge_takes_the_lower_parent_and_the_first_name():
    short = WordTree(("animal", "n1"), np.array([-1, 0]), ("beast", "doggy"))
    long = WordTree(("animal", "mammal", "n1"), np.array([-1, 0, 1]), ("animal", "mammal", "dog"))
    merged = merge_trees([short, long])
    assert _outline(merged) == {"animal": None, "mammal": "animal", "n1": "mammal"}
    assert merged.names == ("beast", "mammal", "doggy")
    nameless = WordTree(("animal", "n1"), np.array([-1, 0]))
    assert merge_trees([nameless, long]).names == ("animal", "mammal", "dog")


def test_merge_refuses_contradictions():
    a = _tree({"animal": None, "thing": None, "dog": "animal"}, "a.tree")
    b = _tree({"animal": None, "thing": None, "dog": "thing"}, "b.tree")
    with pytest.raises(UserError, match="dog dog is under animal animal in a.tree, but under thing thing in b.tree"):
        merge_trees([a, b])
    c = _tree({"dog": None, "animal": "dog"}, "c.tree")
    with pytest.raises(UserError, match=r"[ac]\.tree: (animal|dog) is above (animal|dog), but another tree has it"):
        merge_trees([a, c])
    with pytest.raises(UserError, match="no trees"):
        merge_trees([])


def test_compare():
    ours = _tree({"r": None, "q": None, "a": "r", "b": "r", "c": "a", "d": "a", "e": "b"})
    theirs = WordTree(("r", "a", "b", "c", "x", "d", "e"), np.array([-1, 0, 0, 0, 2, 2, 4]))
    result = compare_trees(ours, theirs)
    assert (result.nodes, result.reference_nodes, result.shared, result.same) == (7, 7, 6, 3)
    assert result.higher == (("c", "a", "r"),)
    assert result.elsewhere == (("d", "a", "b"),)
    assert result.lower == (("e", "b", "x"),)
    assert "3 (50.0%) have the same parent" in str(result)
    same = compare_trees(ours, ours)
    assert same.same == same.shared == 7


def test_the_emoji_tree_comes_with_the_package():
    from yolo9000_jax.data.emoji_classes import read_classes

    tree = WordTree.packaged("emoji")
    assert len(set(tree.names)) == len(tree)
    for row in read_classes():
        fine, coarse = tree.find(row.synset), tree.find(row.coarse_synset)
        assert (tree.names[fine], tree.names[coarse]) == (row.name, row.coarse)
        assert tree.leaves[fine] and coarse in tree.ancestors(fine), row.name
    with pytest.raises(UserError, match="no tree 'ImageNet' comes with the package, only emoji"):
        WordTree.packaged("ImageNet")


def test_maps_have_one_line_a_label(tmp_path):
    tree = _tree({"animal": None, "dog": "animal"})
    save_map(tmp_path / "a.map", np.array([1, 0, 1]))
    assert load_map(tmp_path / "a.map", tree, 3).tolist() == [1, 0, 1]
    with pytest.raises(UserError, match="a.map: 3 lines for 2 labels"):
        load_map(tmp_path / "a.map", tree, 2)


def test_what_cannot_be_written_is_refused(tmp_path):
    tree = _tree({"animal": None})
    for path in (tmp_path / "no/folder.tree", tmp_path / "dir.tree"):
        (tmp_path / "dir.tree").mkdir(exist_ok=True)
        with pytest.raises(UserError, match=f"{path}: cannot be written"):
            tree.save_with_names(path)
    with pytest.raises(UserError, match="ends in .tree; write a.names.tree"):
        tree.save_with_names(tmp_path / "a.names")
    with pytest.raises(UserError, match="cannot be written"):
        save_map(tmp_path / "no/a.map", [0])


def test_command_builds_and_shows(small_wordnet, tmp_path, run):
    (tmp_path / "a.txt").write_text(f"lion\ndog\t{small_wordnet['dog']}\n")
    (tmp_path / "b.txt").write_text("cat\nanimal\n")
    lists = ["--labels", tmp_path / "a.txt", "--labels", tmp_path / "b.txt"]
    status, out, error = run("wordtree", "build", *lists, "--output", tmp_path / "t.tree", "--collapse", "--maps")
    assert (status, error) == (0, "")
    assert out.splitlines()[0].startswith("6 nodes after leaving out ")
    assert out.splitlines()[-1].startswith(f"written: {tmp_path}/t.tree, ")
    assert sorted(path.name for path in tmp_path.glob("t.*")) == ["t.a.map", "t.b.map", "t.names", "t.tree"]
    status, out, _ = run("wordtree", "show", tmp_path / "t.tree", "feline")
    assert status == 0
    assert out.splitlines()[0] == "animal > carnivore > feline"
    assert len(out.splitlines()) == 4
    status, out, _ = run("wordtree", "show", tmp_path / "t.tree", "--depth", "0")
    assert out.splitlines() == [f"animal {small_wordnet['animal']} #0"]
    roots = ["--roots", small_wordnet["carnivore"], small_wordnet["agent"]]
    (tmp_path / "b.txt").write_text("person\n")
    assert run("wordtree", "build", *lists, *roots, "--output", tmp_path / "t.tree")[0] == 0


def test_command_lists_the_meanings(small_wordnet, tmp_path, run):
    (tmp_path / "a.txt").write_text("crane\n")
    output = tmp_path / "t.tree"
    status, out, error = run("wordtree", "build", "--labels", tmp_path / "a.txt", "--output", output)
    assert status == 1 and error.count("\n") == 1 and "'crane' has 2 meanings" in error
    assert f"crane\t{small_wordnet['crane_bird']}\t# a large wading bird" in out.splitlines()
    assert not output.exists()


def test_command_merges_and_compares(tmp_path, run, refused):
    _tree({"animal": None, "dog": "animal"}).save(tmp_path / "a.tree")
    _tree({"dog": None, "pug": "dog"}).save(tmp_path / "b.tree")
    status, out, _ = run("wordtree", "merge", tmp_path / "a.tree", tmp_path / "b.tree", "--output", tmp_path / "c.tree")
    assert status == 0 and out.startswith("3 nodes; written: ")
    assert _outline(WordTree.load_with_names(tmp_path / "c.tree")) == {"animal": None, "dog": "animal", "pug": "dog"}
    status, out, _ = run("wordtree", "compare", tmp_path / "a.tree", tmp_path / "c.tree")
    assert "2 (100.0%) have the same parent" in out
    (tmp_path / "cycle.tree").write_text("a 1\nb 0\n")
    assert "cycle.tree, line 1" in refused("wordtree", "show", tmp_path / "cycle.tree")
    assert "cannot be read" in refused("wordtree", "merge", tmp_path / "no.tree", "--output", tmp_path / "d.tree")
    assert "no node is called 'cow'" in refused("wordtree", "show", tmp_path / "a.tree", "cow")
    assert run("wordtree", "show", "emoji", "poodle")[1].splitlines()[0].endswith("canine > dog > poodle")
