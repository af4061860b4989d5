"""What the numbers of an evaluation mean, in a sentence each."""

import re

from yolo9000_jax.evaluation.breakdown import BORDER_PIXELS

_AREAS = {
    "small": "objects smaller than 32x32 pixels",
    "medium": "objects between 32x32 and 96x96 pixels",
    "large": "objects larger than 96x96 pixels",
}
MEANINGS = {
    "voc_ap50": "Mean over the classes of VOC's average precision, the area under the precision/recall curve. A "
    "detection is right if it overlaps an object of its class by IoU .5 that no better one has.",
    "voc07_ap50": "The same by the rule of VOC 2007: the mean precision at eleven recalls.",
    "recall50": "The share of the objects that some detection of any class and score overlaps by IoU .5.",
    "ilsvrc_ap": "Mean average precision by ImageNet's rule, where small boxes want less overlap.",
    "coco_ap": "COCO's AP: the mean over the classes and over the overlaps .5, .55, … .95, so it rewards exact boxes.",
    "coco_ap50": "COCO's AP with an overlap of .5 alone.",
    "coco_ap75": "COCO's AP with an overlap of .75 alone.",
    "top1": "The share of the pictures whose class the classifier names first.",
    "top5": "The share of the pictures whose class is among its five best.",
    "images": "Pictures that were looked at.",
    "right_of_detected": "The share of the detected objects that get their finest true name, going down the tree.",
    "right_of_all": "The share of all objects that are detected and get their finest true name.",
    "ece": "Expected calibration error: how far scores are from the share that is right, on average.",
    "best_f1": "The best F1 = 2 P R / (P + R) that one score threshold for all classes reaches.",
}
MISTAKES = {
    "wrong class": "Overlaps an object of another class by IoU .5 or more.",
    "poorly placed": "Overlaps an object of its class by IoU .1 to .5.",
    "both": "Of the wrong class and poorly placed.",
    "duplicate": "Overlaps an object of its class that a better detection has.",
    "background": "Overlaps nothing by more than IoU .1.",
    "missed": "An object that no detection finds, be it poorly placed or of the wrong class.",
    "wrong class: sibling": "The class named has the same parent in the tree as the true one.",
    "wrong class: other branch": "The class named is neither above, below nor beside the true one in the tree.",
    "wrong class: too coarse": "The class named lies above the true one in the tree.",
    "wrong class: too deep": "The class named lies below the true one in the tree.",
}
COLUMNS = {
    "AP50": "VOC's average precision at IoU .5, in percent.",
    "COCO AP": "COCO's AP, the mean over overlaps from .5 to .95, in percent.",
    "objects": "How many objects count: neither difficult ones nor crowds.",
    "detections": "How many detections there are, of whatever score.",
    "best F1": "The best F1 = 2 P R / (P + R) that a score threshold gives, in percent.",
    "at score": "The threshold that gives the best F1.",
    "precision": "At the threshold of the best F1: the share of the detections that is right, in percent.",
    "recall": "At the threshold of the best F1: the share of the objects that is found, in percent.",
    "cost (AP)": "How much the AP at IoU .5 would gain, in percent points, if these mistakes alone were put right.",
    "found": "The share of the objects that one of 100 detections of their class in a picture finds, in percent.",
    "size": "Small, medium and large are below 32x32, up to 96x96 and above, in pixels.",
    "aspect": "Tall: less than 3/4 as wide as high. Wide: more than 4/3.",
    "border": f"Cut: within {BORDER_PIXELS:g} pixel of the picture's border.",
    "crowdedness": "How many other boxes overlap the object: none, one or two, more.",
    "difficulty": "Objects that the data set marks as difficult do not count elsewhere.",
    "top1 (%)": MEANINGS["top1"],
    "top5 (%)": MEANINGS["top5"],
}


def meaning(name: str) -> str:
    """What a metric means; "" for one that is not known."""
    if name in MEANINGS:
        return MEANINGS[name]
    if found := re.fullmatch(r"coco_ap_(small|medium|large)", name):
        return f"COCO's AP of {_AREAS[found[1]]}."
    if found := re.fullmatch(r"coco_ar(\d+)", name):
        limit = f"{found[1]} detections of a class in a picture at most"
        return f"COCO's average recall, over overlaps from .5 to .95, with {limit}."
    if found := re.fullmatch(r"coco_ar_(small|medium|large)", name):
        return f"COCO's average recall, with 100 detections of a class in a picture at most, of {_AREAS[found[1]]}."
    if found := re.fullmatch(r"(.+)_(seen|unseen)", name):
        return f"{found[1]}, the mean of the classes with{'out' * (found[2] == 'unseen')} boxes in training."
    return ""
