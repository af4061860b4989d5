"""How far two trees agree, such as one of ours with the released 9k.tree."""

from dataclasses import dataclass

from yolo9000_jax.wordtree.tree import WordTree


@dataclass(frozen=True)
class Comparison:
    """Counts of nodes; the last four sum up to `shared` and hold (synset, our parent, the reference's) each.

    Attributes:
        nodes, reference_nodes: of the two trees.
        shared: in both, by synset.
        same: their parents are the same, or they are roots in both.
        higher: the reference puts them under a node further up on our path, or makes them roots.
        lower: the reference puts them under a node whose path there goes through our parent, or ours are the roots.
        elsewhere: on another branch.
    """

    nodes: int
    reference_nodes: int
    shared: int
    same: int
    higher: tuple[tuple[str, str | None, str | None], ...]
    lower: tuple[tuple[str, str | None, str | None], ...]
    elsewhere: tuple[tuple[str, str | None, str | None], ...]

    def __str__(self) -> str:
        counts = {
            "have the same parent": self.same,
            "the reference puts higher up on the same path": len(self.higher),
            "the reference puts lower down on the same path": len(self.lower),
            "the reference puts on another branch": len(self.elsewhere),
        }
        lines = [f"{self.nodes} nodes, reference {self.reference_nodes}, in both {self.shared}; of these"]
        lines += [f"  {count} ({count / max(self.shared, 1):.1%}) {what}" for what, count in counts.items()]
        return "\n".join(lines)


def compare_trees(tree: WordTree, reference: WordTree) -> Comparison:
    """Where `tree` and `reference` put the nodes that they share."""
    ours, theirs = _paths(tree), _paths(reference)
    shared = [synset for synset in tree.synsets if synset in theirs]
    higher, lower, elsewhere = [], [], []
    for synset in shared:
        our_path, their_path = ours[synset], theirs[synset]
        parents = (our_path[0] if our_path else None, their_path[0] if their_path else None)
        if parents[0] == parents[1]:
            continue
        if parents[1] is None or parents[1] in our_path:
            higher.append((synset, *parents))
        elif parents[0] is None or parents[0] in their_path:
            lower.append((synset, *parents))
        else:
            elsewhere.append((synset, *parents))
    same = len(shared) - len(higher) - len(lower) - len(elsewhere)
    return Comparison(len(tree), len(reference), len(shared), same, tuple(higher), tuple(lower), tuple(elsewhere))


def _paths(tree: WordTree) -> dict[str, list[str]]:
    """Each synset with those above it, the parent first."""
    return {synset: [tree.synsets[above] for above in tree.ancestors(node)] for node, synset in enumerate(tree.synsets)}
