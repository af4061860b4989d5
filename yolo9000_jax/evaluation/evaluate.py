"""Runs a network over a data set, once, and measures how good its answers are."""

from collections.abc import Sequence
from dataclasses import replace

from yolo9000_jax.data.records import Dataset
from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.classification import evaluate_classifier
from yolo9000_jax.evaluation.detection import EXAMPLES, evaluate_detector
from yolo9000_jax.evaluation.hierarchical import evaluate_tree_classifier
from yolo9000_jax.evaluation.models import Classifier, Detector
from yolo9000_jax.evaluation.result import Evaluation
from yolo9000_jax.wordtree.limits import HierarchicalThreshold

IOU_RULES = ("voc", "ilsvrc")
BATCH_SIZE, CLASSIFIER_BATCH_SIZE = 8, 32


def evaluate(
    model: Detector | Classifier,
    dataset: Dataset,
    *,
    batch_size: int | None = None,
    score_threshold: float = 0.005,
    nms_threshold: float = 0.45,
    hierarchical_threshold: HierarchicalThreshold = 0.5,
    class_agnostic: bool = False,
    iou_rule: str = "voc",
    seen: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    examples: int = EXAMPLES,
) -> Evaluation:
    """Applies a detector or a classifier to every picture of a data set, once, and compares its answers with the truth.

    It is evaluated on the classes that the data set and the model share, found by synset or name
    (labels.match_classes). Several hosts all call it: each looks at its share of the pictures, and all get the numbers
    of all, the same as one host would; the examples are this host's own.

    Args:
        model: a detector or a classifier, its classes forming a tree or not.
        dataset: for a detector records with boxes, for a classifier records with one label and none (`folders:`).
        batch_size: pictures that a device works on at a time; None: 8 for a detector, 32 for a classifier.

    All others are for detectors:
        score_threshold, nms_threshold: of the detector; Darknet evaluates with .005 and .45.
        hierarchical_threshold: with a tree, how sure a name must be in the examples, "hierarchy" and "naming"; one
            number, or one for each of some subtrees (wordtree.limits.node_thresholds).
        class_agnostic: of two boxes that overlap only the better stays, whatever their classes.
        iou_rule: "voc"; "ilsvrc" adds the average precision by the rule of ImageNet's detection task (ilsvrc.py), by
            which a small box wants less overlap.
        seen: names or synsets of the classes whose boxes the detector was trained on; others than the data set's do no
            harm. With it the metrics tell those classes from the rest, as the paper does (19.7 and 16.0).
        groups: with a tree, names or synsets of the nodes below which "naming" compares names. None: the data set's
            own classes that have others of it below.
        examples: how many pictures to keep for a report, spread over the data set.

    Returns:
        Evaluation. Its metrics are, over the shared classes, with "left_out" naming the data set's others if any:

        of a detector, VOC average precision (darknet.md 13): {"voc_ap50", "voc07_ap50", "recall50", "images",
        "per_class": {name: {"voc_ap50", "voc07_ap50", "truths", "detections", "coco_ap", "best_f1"}}}; COCO's twelve
        numbers, "coco_ap" and so on (coco.evaluate_coco); "mistakes" (mistakes.measure), "breakdown"
        (breakdown.breakdown), "calibration" and "best_f1" (scores.py); with iou_rule="ilsvrc" "ilsvrc_ap"
        beside each "voc_ap50"; with `seen` also "voc_ap50_seen", "voc_ap50_unseen", and the names of these classes,
        "seen_classes" and "unseen_classes", and with a tree "seen_rules" (seen.seen_and_unseen); with a tree also
        "subtrees" (subtrees.subtrees), "hierarchy" (naming.NamedObjects.metrics, and, unless class_agnostic, "ap50" and
        "nodes" of ancestors.hierarchical_ap), and where classes of the data set are below others of it "naming"
        (naming.NamingConfusion.metrics);

        of a classifier {"top1", "top5", "images", "per_class": {name: the same}}: the shares of the pictures whose
        class is the best, or among the best five; with a tree also "stopping" and "severity"
        (hierarchical.evaluate_tree_classifier).

    Raises:
        UserError: a picture cannot be read, the classes do not fit (labels.match_classes), a classifier gets pictures
            with boxes, or a group is no node with classes of the data set below it.
    """
    for what, given, wanted in (("model", model, "y9.load(WORKDIR)"), ("dataset", dataset, "y9.open_source(SOURCE)")):
        if isinstance(given, str):
            raise UserError(f"evaluate: {what} is the text {given!r}; give what {wanted} returns")
    dataset, data = dataset.once(), f"{dataset.spec} {dataset.split}"
    if isinstance(model, Classifier):
        run = evaluate_classifier if model.tree is None else evaluate_tree_classifier
        found = run(model, dataset, batch_size=batch_size or CLASSIFIER_BATCH_SIZE)
        return replace(found, data=data)
    if iou_rule not in IOU_RULES:
        raise UserError(f"iou_rule is {iou_rule!r}; it can be {', '.join(IOU_RULES)}")
    if groups is not None and model.tree is None:
        raise UserError("groups: the detector's classes form no tree, so none lies below another; leave groups out")
    found = evaluate_detector(
        model,
        dataset,
        batch_size=batch_size or BATCH_SIZE,
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        hierarchical_threshold=hierarchical_threshold,
        class_agnostic=class_agnostic,
        iou_rule=iou_rule,
        seen=seen,
        groups=groups,
        examples=examples,
    )
    return replace(found, data=data)
