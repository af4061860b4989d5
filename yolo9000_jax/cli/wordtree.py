"""`yolo9000 wordtree build`, `show`, `compare` and `merge`: trees of classes."""

import argparse
from typing import TYPE_CHECKING

from yolo9000_jax.cli.arguments import Verbs, add_verb
from yolo9000_jax.logs import logger

if TYPE_CHECKING:
    from yolo9000_jax.wordtree.tree import WordTree


def add(verbs: Verbs) -> None:
    """Adds the verb of this module, and its own verbs."""
    summary = "build a tree of classes from WordNet; show, compare, merge trees"
    wordtree = verbs.add_parser("wordtree", help=summary, description=f"{summary}.")
    actions = wordtree.add_subparsers(dest="action", required=True, metavar="build|show|compare|merge")
    build = add_verb(actions, "build", wordtree_build, "make one tree of lists of labels, by way of WordNet")
    build.add_argument(
        "--labels",
        action="append",
        required=True,
        metavar="FILE|SOURCE",
        help="a list, one label a line, or a data set's classes; once for each list",
    )
    build.add_argument(
        "--output", required=True, metavar="FILE.tree", help="where to write it; FILE.names goes beside it"
    )
    build.add_argument(
        "--roots", nargs="+", metavar="SYNSET", help="synsets that the tree ends in (default: physical entity)"
    )
    build.add_argument("--collapse", action="store_true", help="leave out inner nodes with a single child")
    build.add_argument("--maps", action="store_true", help="also write FILE.LIST.map, each label's node, for each list")
    show = add_verb(actions, "show", wordtree_show, "print a tree, or what is below and above a node of it")
    show.add_argument("tree", metavar="F.tree", help="or emoji, the tree that comes with the package")
    show.add_argument("node", nargs="?", metavar="NODE", help="a synset or a name")
    show.add_argument("--depth", type=int, metavar="N", help="how many levels below (default: all)")
    compare = add_verb(actions, "compare", wordtree_compare, "count how many nodes of two trees have the same parent")
    compare.add_argument("tree", metavar="F.tree")
    compare.add_argument("reference", metavar="REFERENCE.tree")
    merge = add_verb(actions, "merge", wordtree_merge, "join trees by the synsets that they share")
    merge.add_argument("trees", nargs="+", metavar="F.tree")
    merge.add_argument(
        "--output", required=True, metavar="FILE.tree", help="where to write it; FILE.names goes beside it"
    )


def wordtree_build(options: argparse.Namespace) -> None:
    """Builds a tree of label lists and writes it."""
    from yolo9000_jax.data.sources import is_source, open_classes
    from yolo9000_jax.wordtree.build import build
    from yolo9000_jax.wordtree.lists import class_list, read_label_list
    from yolo9000_jax.wordtree.meanings import UnclearLabels

    try:
        lists = [class_list(*open_classes(s), s) if is_source(s) else read_label_list(s) for s in options.labels]
        built = build(lists, options.roots, options.collapse)
    except UnclearLabels as error:
        print(f"lines for the label lists, the commonest meaning first:\n{error.candidates}")
        raise
    for note in built.notes:
        logger.info(note)
    print("written: " + ", ".join(map(str, built.save(options.output, options.maps))))


def wordtree_show(options: argparse.Namespace) -> None:
    """Prints a tree, or a node's path and what is below it."""
    tree = _open_tree(options.tree)
    node = None if options.node is None else tree.find(options.node)
    if node is not None:
        print(" > ".join(tree.names[step] for step in tree.path(node)))
    print(tree.show(node, options.depth))


def wordtree_compare(options: argparse.Namespace) -> None:
    """Prints how alike two trees are."""
    from yolo9000_jax.wordtree.compare import compare_trees

    print(compare_trees(_open_tree(options.tree), _open_tree(options.reference)))


def wordtree_merge(options: argparse.Namespace) -> None:
    """Joins trees and writes the result."""
    from yolo9000_jax.wordtree.merge import merge_trees

    tree = merge_trees([_open_tree(path) for path in options.trees])
    written = tree.save_with_names(options.output)
    print(f"{len(tree)} nodes; written: " + ", ".join(map(str, written)))


def _open_tree(path: str) -> "WordTree":
    from yolo9000_jax.wordtree.tree import WordTree

    return WordTree.packaged(path) if path == "emoji" else WordTree.load_with_names(path)
