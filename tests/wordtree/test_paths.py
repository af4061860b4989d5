"""Choosing one path for each label, against a slow search that tries every path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo9000_jax.errors import UserError
from yolo9000_jax.wordtree.paths import breadth_first, climb, collapsed, grow, reached_roots


@st.composite
def graphs(draw):
    """Hypernyms of each concept, of which "a0" (and perhaps "a1") are roots, and some labels."""
    count = draw(st.integers(2, 14))
    names = [f"a{i}" if i < 10 else f"b{i - 10}" for i in range(count)]
    roots = names[: draw(st.integers(1, 2))]
    hypernyms = {name: () for name in roots}
    for i, name in enumerate(names[len(roots) :], len(roots)):
        hypernyms[name] = tuple(draw(st.lists(st.sampled_from(names[:i]), min_size=1, max_size=3, unique=True)))
    labels = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    return hypernyms, roots, labels


def _paths_up(concept, hypernyms, ends):
    """All paths from the first concept in `ends` down to this one."""
    if concept in ends:
        return [(concept,)]
    return [(*path, concept) for above in hypernyms[concept] for path in _paths_up(above, hypernyms, ends)]


def _slow_tree(labels, hypernyms, roots):
    """The rule of `grow`, tried out on every path."""
    paths = {label: _paths_up(label, hypernyms, roots) for label in labels}
    parents = {path[0]: None for found in paths.values() for path in found}
    for found in paths.values():
        if len(found) == 1:
            parents |= dict(zip(found[0][1:], found[0], strict=False))

    def depth(node):
        return 0 if parents[node] is None else depth(parents[node]) + 1

    left = {label for label in labels if len(paths[label]) > 1}
    while left:
        choices = [
            (len(path), label, -depth(path[0]), path) for label in left for path in _paths_up(label, hypernyms, parents)
        ]
        _, label, _, path = min(choices)
        for node, parent in zip(path[1:], path, strict=False):
            parents.setdefault(node, parent)
        left.remove(label)
    return parents


@given(graph=graphs(), reverse=st.booleans())
def test_grow_is_the_slow_search(graph, reverse):
    hypernyms, roots, labels = graph
    above = climb(labels, roots, hypernyms.__getitem__)
    parents, several = grow(labels[::-1] if reverse else labels, above)
    assert parents == _slow_tree(labels, hypernyms, roots)
    assert several == sum(len(_paths_up(label, hypernyms, roots)) > 1 for label in labels)


@given(graph=graphs())
def test_every_tree_is_valid(graph):
    hypernyms, roots, labels = graph
    above = climb(labels, roots, hypernyms.__getitem__)
    full, _ = grow(labels, above)
    for node, parent in full.items():
        assert parent in hypernyms[node] if parent is not None else node in roots
    small = collapsed(full, labels)
    assert set(labels) <= set(small) <= set(full)
    children = list(small.values())
    for node, parent in small.items():
        assert children.count(node) != 1 or node in labels
        step = full[node]
        while step != parent:  # the parent is still above, and what is left out between them had one child
            assert list(full.values()).count(step) == 1 and step not in labels
            step = full[step]
    for parents in (full, small):
        order = breadth_first(parents)
        assert sorted(order) == sorted(parents)
        runs = [parents[node] for i, node in enumerate(order) if i == 0 or parents[node] != parents[order[i - 1]]]
        assert len(runs) == len(set(runs))
        assert all(parents[node] is None or order.index(parents[node]) < i for i, node in enumerate(order))


def test_climb_leaves_out_what_ends_elsewhere():
    hypernyms = {"cat": ("feline", "idea"), "feline": ("thing",), "idea": ("mind",), "mind": (), "wish": ("idea",)}
    above = climb(["cat", "wish"], ["thing"], hypernyms.__getitem__)
    assert above == {"cat": ("feline",), "feline": ("thing",), "thing": ()}
    both = climb(["cat"], ["thing", "idea"], hypernyms.__getitem__)
    assert reached_roots(both)["cat"] == {"thing", "idea"}


def test_the_path_that_adds_less_comes_first():
    hypernyms = {"root": (), "a": ("root",), "b": ("a",), "c": ("root",), "x": ("b", "c"), "y": ("x", "b"), "z": ("c",)}
    parents, several = grow(["x", "y", "z"], climb(["x", "y", "z"], ["root"], hypernyms.__getitem__))
    assert several == 2
    assert parents == {"root": None, "c": "root", "z": "c", "x": "c", "y": "x"}  # without z, x would add c or b and a


def test_a_cycle_is_refused():
    hypernyms = {"a": ("b",), "b": ("a",)}
    with pytest.raises(UserError, match="a is above itself"):
        climb(["a"], ["root"], hypernyms.__getitem__)
