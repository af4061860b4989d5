"""The page of an evaluation, index.html: its numbers, classes, mistakes and pictures, and its run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from yolo9000_jax.evaluation.confusion import Confusion, confusion
from yolo9000_jax.evaluation.result import Compared, Evaluation, main_numbers
from yolo9000_jax.evaluation.voc import IGNORED, TRUE_POSITIVE, VocResult, interpolated_precision
from yolo9000_jax.html import Html, element
from yolo9000_jax.report.frame import Section, page, table, term
from yolo9000_jax.report.meanings import COLUMNS, MISTAKES, meaning
from yolo9000_jax.report.sample import cut, sample
from yolo9000_jax.report.table import MISSING, Table
from yolo9000_jax.report.tree import descent, tree_nodes
from yolo9000_jax.text import printable

STEPS = 100  # in which thresholds and recalls are told, from 0 to 1
CURVES = 1000  # classes, those with the most objects, of which curves are drawn
DEFAULT_THRESHOLD, LOWEST_THRESHOLD = 0.25, 0.05
SCRIPTS = ("pictures.js", "evaluation.js")


def evaluation_page(
    evaluation: Evaluation, run: Sequence[Section] = (), series: Mapping[str, Any] | None = None
) -> str:
    """The page.

    Args:
        evaluation: of a detector or a classifier.
        run: sections on the run, which come last.
        series: learning curves, {name: [[step, value], …]}; None: there are none.

    Returns:
        The whole HTML file.
    """
    metrics = evaluation.metrics
    data: dict[str, Any] = {"curves": series or None}
    sections = [Section("numbers", "Numbers", _numbers(metrics))]
    if evaluation.voc is not None:
        names = list(map(printable, evaluation.class_names))
        sections += [Section("mistakes", "Where it fails", _failures(metrics))]
        data |= {"classes": names, "threshold": max(LOWEST_THRESHOLD, _threshold(metrics)), "images": metrics["images"]}
        data["of_classes"] = _of_classes(evaluation.voc)
        sections.append(Section("classes", "Classes", [*_classes(metrics), _place("class-curves")]))
        if evaluation.compared is not None:
            data |= _compared(evaluation.compared, data["threshold"])
            sections.append(Section("confusion", "Confusion of classes", [_place("confusion-matrix")]))
            sections.append(Section("pictures", "Pictures", [_place("picture-list")]))
            if evaluation.compared.tree is not None:
                data |= {"tree": tree_nodes(evaluation.compared), "descent": descent(evaluation.compared)}
                sections.append(Section("tree", "The tree", [_place("class-tree")]))
    else:
        sections.append(Section("classes", "Classes", [table(classes_table(metrics), COLUMNS, sortable=True)]))
    if "hierarchy" in metrics:
        tables = hierarchy_tables(metrics["hierarchy"])
        sections.append(Section("hierarchy", "How near the names are", [table(each, sortable=True) for each in tables]))
    if "naming" in metrics:
        sections.append(Section("naming", "Names down the tree", _naming(metrics["naming"])))
    if "stopping" in metrics:
        sections.append(Section("stopping", "How far down the tree", [table(stopping_table(metrics))]))
    if series:
        sections.append(Section("curves", "Learning curves", [_place("learning-curves")]))
    return page("Evaluation", [*sections, *run], lead=_lead(evaluation), data=data, scripts=SCRIPTS)


def _place(name: str) -> Html:
    """Where a script draws."""
    return element("div", element("noscript", "This part needs JavaScript."), id=name)


def _lead(evaluation: Evaluation) -> str:
    left_out = evaluation.metrics.get("left_out", ())
    lines = [printable(evaluation.data)] if evaluation.data else []
    lines.append(f"{evaluation.metrics.get('images', 0)} pictures, {len(evaluation.class_names)} classes")
    if left_out:
        lines.append(f"left out, as the network lacks them: {', '.join(map(printable, left_out))}")
    return "; ".join(lines)


def _numbers(metrics: Mapping[str, Any]) -> list[object]:
    """The main numbers large, the others small."""
    main = {name: value for name, value in main_numbers(metrics).items() if name not in ("images", "step")}
    others = {
        name: value
        for name, value in metrics.items()
        if isinstance(value, int | float | None) and name not in (*main, "images", "step")
    }
    if (best := metrics.get("best_f1")) is not None:
        main["best_f1"] = best["f1"]
    if (calibration := metrics.get("calibration")) is not None:
        others["ece"] = calibration["ece"]
    large, small = (
        [element("div", _termed(name), element("b", _percent(value) or MISSING), class_="tile") for name, value in each]
        for each in (main.items(), others.items())
    )
    return [
        element("p", "In percent; what a number means is shown where its name is pointed at.", class_="note"),
        element("div", *large, class_="tiles"),
        element("div", *small, class_="tiles small"),
    ]


def _termed(name: str) -> object:
    return term(name, told) if (told := meaning(name)) else name


def _failures(metrics: Mapping[str, Any]) -> list[object]:
    rows: list[list[str | None]] = []
    kinds = {name: numbers for name, numbers in metrics.get("mistakes", {}).items() if name != "ap50"}
    for name, numbers in sorted(kinds.items(), key=lambda item: -(item[1]["cost"] or 0)):
        rows.append([name.replace("_", " "), _percent(numbers["cost"]), str(numbers["count"])])
        for relation, part in numbers.get("relations", {}).items():
            rows.append(
                [f"{name.replace('_', ' ')}: {relation.replace('_', ' ')}", _percent(part["cost"]), str(part["count"])]
            )
    note = "By the definitions of TIDE. Each kind is put right by itself, so the costs do not add up."
    mistakes = Table(["mistake", "cost (AP)", "how many"], rows, "What the mistakes cost", note)
    groups = [
        [name, group, str(each["truths"]), _percent(each["recall50"]), _percent(each.get("coco_ap50"))]
        for name, of in metrics.get("breakdown", {}).items()
        for group, each in of.items()
    ]
    breakdown = Table(["by", "group", "objects", "found", "AP50"], groups, "Which objects are found, by their class")
    tables = [table(mistakes, COLUMNS | MISTAKES) if rows else "", table(breakdown, COLUMNS) if groups else ""]
    return [element("div", *tables, class_="columns")]


def _classes(metrics: Mapping[str, Any]) -> list[object]:
    rows = []
    for name, numbers in metrics["per_class"].items():
        best = numbers.get("best_f1") or {}
        rows.append(
            [
                printable(name),
                *(_percent(numbers.get(key)) for key in ("voc_ap50", "coco_ap")),
                *(str(numbers[key]) for key in ("truths", "detections")),
                *(_percent(best.get(key)) for key in ("f1", "precision", "recall")),
                None if not best else f"{best['threshold']:.2f}",
            ]
        )
    heads = ["class", "AP50", "COCO AP", "objects", "detections", "best F1", "precision", "recall", "at score"]
    return [table(Table(heads, rows, "In percent; a click on a head sorts"), COLUMNS, sortable=True)]


def _naming(naming: Mapping[str, Any]) -> list[object]:
    """How objects of each name are called."""
    parts: list[object] = []
    for group in naming["groups"]:
        rows = [
            [printable(name), *map(str, counts)] for name, counts in zip(group["rows"], group["matrix"], strict=True)
        ]
        heads = ["true name", *(f"“{printable(name)}”" for name in group["columns"])]
        parts.append(table(Table(heads, rows, f"Objects below {printable(group['name'])}, and what they are called")))
    return parts


def _threshold(metrics: Mapping[str, Any]) -> float:
    """That of the best F1."""
    best = metrics.get("best_f1")
    return DEFAULT_THRESHOLD if best is None else cut(best["threshold"], 2)


def _of_classes(voc: VocResult) -> list[dict[str, Any] | None]:
    """AP and objects of each class, and its curves, unless there are too many classes; None of a class that has neither
    objects nor detections.

    precision: at each recall, in thousandths. right, wrong: how many detections have at least each score. bins:
    detections, mean score and share that is right, by tenths of the score.
    """
    order = np.argsort([-result.truths for result in voc.per_class], kind="stable")
    chosen = {int(label) for label in order[:CURVES]}
    every, at = voc.outcomes, np.linspace(0, 1, STEPS + 1)
    by_label = np.argsort(every.labels, kind="stable")
    bounds = np.searchsorted(every.labels[by_label], np.arange(len(voc.per_class) + 1))
    found: list[dict[str, Any] | None] = []
    for label, result in enumerate(voc.per_class):
        own = by_label[bounds[label] : bounds[label + 1]]
        own = own[every.outcomes[own] != IGNORED]
        if not (result.truths or len(own)):
            found.append(None)
            continue
        if label not in chosen:
            found.append({"ap": result.ap, "truths": result.truths})
            continue
        scores, right = every.scores[own], every.outcomes[own] == TRUE_POSITIVE
        steps = _steps(scores)
        counts = [np.bincount(steps[which], minlength=STEPS + 1)[::-1].cumsum()[::-1] for which in (right, ~right)]
        curve = interpolated_precision(result.recall, result.precision, at) if result.truths else None
        found.append(
            {
                "ap": result.ap,
                "truths": result.truths,
                "precision": None if curve is None else np.round(1000 * curve).astype(int).tolist(),
                "right": counts[0].tolist(),
                "wrong": counts[1].tolist(),
                "bins": _bins(scores, right),
            }
        )
    return found


def _steps(scores: np.ndarray) -> np.ndarray:
    """The last of the thresholds 0, .01, … 1 that each score reaches, in hundredths."""
    return np.clip((scores * STEPS + 1e-9).astype(int), 0, STEPS)


def _bins(scores: np.ndarray, right: np.ndarray) -> list[list[Any]]:
    places = np.clip((scores * 10).astype(int), 0, 9)
    numbers = np.bincount(places, minlength=10)
    sums, hits = np.bincount(places, scores, 10), np.bincount(places, right, 10)
    return [
        [int(number), round(float(total / number), 3), round(float(hit / number), 3)] if number else [0, None, None]
        for number, total, hit in zip(numbers, sums, hits, strict=True)
    ]


def _compared(compared: Compared, threshold: float) -> dict[str, Any]:
    """The confusion and the pictures."""
    confused = confusion(compared.detections, compared.truths, compared.judged, compared.tree, compared.nodes)
    return {
        "confusion": _confusion(confused, compared),
        "pictures": sample(compared, confused, threshold),
        "order": _order(compared),
    }


def _order(compared: Compared) -> list[int] | None:
    """The classes as the tree has them, what is below one right after it; None without a tree."""
    tree, nodes = compared.tree, compared.nodes
    return None if tree is None else sorted(range(len(nodes)), key=lambda label: tree.path(nodes[label]))


def _confusion(confused: Confusion, compared: Compared) -> dict[str, Any]:
    """Objects and what they are taken for, and of the detections that are on none the class, score and picture."""
    places = list(zip(compared.detections, confused.alone, strict=True))
    labels = np.concatenate([np.zeros(0, int), *(found.labels[at] for found, at in places)])
    scores = np.concatenate([np.zeros(0), *(found.scores[at] for found, at in places)])
    steps = _steps(scores)
    alone = {
        int(label): np.bincount(steps[labels == label], minlength=STEPS + 1).tolist() for label in np.unique(labels)
    }
    return {
        "picture": confused.images.tolist(),
        "true": confused.true_labels.tolist(),
        "found": confused.found_labels.tolist(),
        "score": _steps(confused.scores).tolist(),
        "coarse": confused.coarse_labels.tolist() if compared.tree is not None else None,
        "coarse_score": _steps(confused.coarse_scores).tolist() if compared.tree is not None else None,
        "alone": alone,
    }


def classes_table(metrics: Mapping[str, Any]) -> Table:
    """How often a classifier is right, a line a class, the worst first, in percent."""
    per_class = sorted(metrics["per_class"].items(), key=lambda item: (item[1]["top1"] is None, item[1]["top1"] or 0))
    rows = [
        [printable(name), *(_percent(numbers[key]) for key in ("top1", "top5")), str(numbers["images"])]
        for name, numbers in per_class
    ]
    return Table(["class", "top1 (%)", "top5 (%)", "images"], rows, "How often the classifier is right")


def stopping_table(metrics: Mapping[str, Any]) -> Table:
    """How often a classifier with a tree is right, and how far down it gets, for each threshold, in percent."""
    columns = ("correct", "depth", "precision", "recall", "f1")
    rows = [
        [threshold, *(_percent(numbers[column]) for column in columns)]
        for threshold, numbers in metrics["stopping"].items()
    ]
    note = (
        "The classifier goes down the tree while the next node is more probable than this. Correct: it stops at the "
        "class or above it. Depth: the part of the way to the class that it then has gone. Precision, recall and F1 "
        f"are of sets, a node with all above it. {_severity(metrics['severity'])}, where the best leaf is taken."
    )
    heads = ["probability", *(f"{column} (%)" for column in columns)]
    return Table(heads, rows, "Stopping on the way down the tree", note)


def hierarchy_tables(numbers: Mapping[str, Any]) -> list[Table]:
    """How near a detector's names are to the true ones, and the hierarchical AP of every node, in percent."""
    columns = ("precision", "recall", "f1")
    rows = [
        [name, *(_percent(numbers[key][column]) for column in columns)]
        for name, key in (("names of the objects found", "of_found"), ("all objects and detections", "of_all"))
    ]
    right, balanced = (_percent(numbers[f"{key}_of_found"]) or MISSING for key in ("right", "balanced"))
    note = (
        f"A name counts as the set of its node and all above it. Of {numbers['objects']} objects {numbers['found']} "
        f"are found, of these {right} % called by their class (mean over the classes: {balanced} %), "
        f"{numbers['undecided']} by a node above it. {_severity(numbers['severity'])}."
    )
    tables = [Table(["", *(f"{column} (%)" for column in columns)], rows, "Names on the tree", note)]
    if "ap50" in numbers:
        rows = [["mean", "", _percent(numbers["ap50"]), ""]]
        rows += [[printable(n["name"]), n["synset"], _percent(n["ap50"]), str(n["truths"])] for n in numbers["nodes"]]
        about = "A box of a class counts for all nodes above it too, as in Open Images' challenge."
        tables.append(Table(["node", "synset", "AP50 (%)", "objects"], rows, "Hierarchical AP", about))
    return tables


def _severity(numbers: Mapping[str, Any]) -> str:
    heights = ", ".join(f"{count} of height {height}" for height, count in numbers["heights"].items())
    mean = "" if numbers["mean"] is None else f", the lowest node above both is {numbers['mean']:.2f} high on average"
    return f"{numbers['wrong']} names are wrong{mean}" + (f" ({heights})" if heights else "")


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f}"
