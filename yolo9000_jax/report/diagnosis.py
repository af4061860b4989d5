"""Where a detector fails, in a few lines for a terminal."""

from collections.abc import Iterator
from typing import Any


def diagnosis(metrics: dict[str, Any]) -> Iterator[str]:
    """Lines on the mistakes and their costs, the groups of objects, the scores and the best threshold.

    Args:
        metrics: of a detector, as `evaluation.evaluate` gives them.
    """
    kinds = {name: numbers for name, numbers in metrics["mistakes"].items() if name != "ap50"}
    yield "mistakes, and what the AP at IoU .5 would gain without each kind (TIDE):"
    for name, numbers in sorted(kinds.items(), key=lambda item: -(item[1]["cost"] or 0)):
        yield f"  {name.replace('_', ' '):<14} {_number(numbers['cost'])}  ({numbers['count']})"
        for relation, part in numbers.get("relations", {}).items():
            yield f"    {relation.replace('_', ' '):<12} {_number(part['cost'])}  ({part['count']})"
    for name, groups in metrics["breakdown"].items():
        parts = [f"{group} {_number(each['recall50'])} of {each['truths']}" for group, each in groups.items()]
        yield f"recall50, of 100 detections a class and picture, by {name}: {', '.join(parts)}"
    if (best := metrics["best_f1"]) is not None:
        yield (
            f"best F1 {best['f1']:.4f} with the threshold {best['threshold']:.4f} "
            f"(precision {best['precision']:.4f}, recall {best['recall']:.4f})"
        )
    if (error := metrics["calibration"]["ece"]) is not None:
        yield f"scores differ from the share that is right by {error:.4f} on average (ECE)"
    if "hierarchy" in metrics:
        yield from _hierarchy(metrics["hierarchy"])


def _hierarchy(numbers: dict[str, Any]) -> Iterator[str]:
    """How near the names are to the true ones on the tree."""
    if "ap50" in numbers:
        yield f"hierarchical AP50 {_number(numbers['ap50'])}, each object counted for all nodes above its class too"
    for what, key in (("names of objects found", "of_found"), ("all objects and detections", "of_all")):
        parts = [f"{name} {_number(value)}" for name, value in numbers[key].items()]
        yield f"hierarchical, {what}: {', '.join(parts)}"
    yield (
        f"called by their class: {_number(numbers['right_of_found'])} of {numbers['found']} objects found "
        f"(mean over the classes {_number(numbers['balanced_of_found'])}); {numbers['undecided']} undecided; "
        f"{severity_line(numbers['severity'])}"
    )


def severity_line(numbers: dict[str, Any]) -> str:
    """How many names are wrong, and how severe that is."""
    return f"{numbers['wrong']} wrong, the lowest node above both {_number(numbers['mean'])} high on average"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
