"""What we detect against what Debian's program `darknet` detects: same cfg, weights, pictures and thresholds.

    python experiments/benchmarks/darknet_compare.py --cfg NET.cfg --weights NET.weights --names NAMES --pictures DIR

Both lists are printed side by side, then the largest differences. The program's `detector valid` writes scores and
boxes with six decimals; its `detector test` prints whole percents and no boxes; both are compared. Of a classifier the
five best classes are compared (`classifier predict`, hundredths of a percent). The program letterboxes, so we do. The
exit status is 1 where a detection lacks its partner, or differs by more than the program's rounding and float32 allow.

At some sizes, such as 640x480 brought to 448, float rounding makes the program's letterbox paint the last row of the
picture black. We don't; such pictures are handed to both as the network's input, boxes then being in its pixels.

Darknet on a CPU cannot run a [region] with a tree (darknet.md 0), so YOLO9000 is refused here.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from darknet_program import Darknet, Row

import yolo9000_jax as y9
from yolo9000_jax.boxes.heads import YoloV1Head
from yolo9000_jax.errors import UserError
from yolo9000_jax.images.reading import read
from yolo9000_jax.images.resizing import letterbox, letterboxed_size
from yolo9000_jax.predict.inputs import find_sources

NMS = 0.45  # the program's own
LOWEST_THRESHOLD = 0.005  # that of `detector valid`
SCORE_TOLERANCE = 1e-4  # between two float32 programs
BOX_TOLERANCE = 1e-4  # of the picture's longer side
TOP = 5


class Comparison:
    """Pairs of rows, and how far they are apart.

    Args:
        title: what is compared.
        names: of the classes.
        rounding: of the program's scores, at most half a unit of their last digit.
    """

    def __init__(self, title: str, names, rounding: float):
        self.title, self.names, self.tolerance = title, names, rounding + SCORE_TOLERANCE
        self.pairs = self.unpaired = 0
        self.score_off = self.box_off = self.box_off_relative = 0.0

    @property
    def agrees(self) -> bool:
        close = self.score_off <= self.tolerance and self.box_off_relative <= BOX_TOLERANCE
        return close and not self.unpaired

    def add(self, ours: list[Row], theirs: list[Row], threshold: float, image_wh=None, show: bool = False) -> None:
        """Pairs the rows of one picture: those of one class with the nearest scores and boxes.

        Both lists hold what is above `threshold`; near it one may lack what the other has. With `show`, pairs are
        printed.
        """
        left = list(theirs)
        for row in ours:
            rivals = [other for other in left if other.label == row.label]
            nearest = min(rivals, key=lambda other: self._distance(row, other, image_wh), default=None)
            if nearest is not None and abs(nearest.score - row.score) <= self.tolerance:
                left = [other for other in left if other is not nearest]
                self._pair(row, nearest, image_wh, show)
            else:
                self._miss(row, "only ours", threshold)
        for row in left:
            self._miss(row, "only darknet's", threshold)

    def _distance(self, ours: Row, theirs: Row, image_wh) -> float:
        off = abs(ours.score - theirs.score)
        return off if theirs.box_xyxy is None else off + self._boxes_apart(ours, theirs, image_wh) / max(image_wh)

    def _boxes_apart(self, ours: Row, theirs: Row, image_wh) -> float:
        """The largest difference of the coordinates, in pixels, where both are cut as the program does it."""
        limits = np.array([0, 0, 0, 0]), np.array([*image_wh, *image_wh]) - 1
        return float(np.abs(ours.box_xyxy.clip(*limits) - theirs.box_xyxy.clip(*limits)).max())

    def _pair(self, ours: Row, theirs: Row, image_wh, show: bool) -> None:
        self.pairs += 1
        self.score_off = max(self.score_off, abs(ours.score - theirs.score))
        text = f"  {self.names[ours.label]:<20} ours {ours.score:.6f}  darknet {theirs.score:.6f}"
        if theirs.box_xyxy is not None:
            apart = self._boxes_apart(ours, theirs, image_wh)
            self.box_off = max(self.box_off, apart)
            self.box_off_relative = max(self.box_off_relative, apart / max(image_wh))
            boxes = (" ".join(f"{v:.1f}" for v in row.box_xyxy) for row in (ours, theirs))
            text += "  boxes " + " | ".join(boxes)
        if show:
            print(text)

    def _miss(self, row: Row, whose: str, threshold: float) -> None:
        near = abs(row.score - threshold) <= self.tolerance
        self.unpaired += not near
        print(f"  {self.names[row.label]:<20} {row.score:.6f} {whose}" + (", at the threshold" if near else ""))

    def __str__(self) -> str:
        text = f"{self.title}: {self.pairs} pairs, {self.unpaired} without a partner; scores differ by at most "
        text += f"{self.score_off:.2e} (allowed {self.tolerance:.2e})"
        if self.box_off:
            text += f", boxes by {self.box_off:.4f} px, {self.box_off_relative:.1e} of the longer side"
        return text + ("" if self.agrees else ": NOT THE SAME")


def compare_detector(detector, darknet: Darknet, paths, pictures, threshold: float) -> list[Comparison]:
    options = {"threshold": threshold, "nms": NMS, "batch_size": 1}
    old = isinstance(detector.head, YoloV1Head)  # whose boxes `detector valid` does not bring back from the letterbox
    written = Comparison(f"detector valid, above {threshold}", detector.classes, 5e-7)
    printed = Comparison(f"detector test, above {threshold}", detector.classes, 0.005)
    results = detector.stream(pictures, **options)
    rows = zip(paths, pictures, results, darknet.validate(), darknet.detect(threshold), strict=True)
    for path, pixels, result, valid, (_, test) in rows:
        print(path)
        ours = _rows(result)
        valid = [row._replace(box_xyxy=None) if old else row for row in valid if row.score > threshold]
        written.add(ours, valid, threshold, pixels.shape[1::-1], show=True)
        printed.add(ours, test, threshold)
    return [written, printed]


def compare_classifier(classifier, darknet: Darknet, paths, pictures) -> list[Comparison]:
    top = min(TOP, len(classifier.classes))  # of fewer the program reads memory that is not its own
    ranked = Comparison(f"classifier predict, the best {top}", classifier.classes, 5e-5)
    for path, ranking, theirs in zip(
        paths, classifier.stream(pictures, top=top, batch_size=1), darknet.classify(top), strict=True
    ):
        print(path)
        ours = [Row(int(label), float(score)) for label, score in zip(ranking.labels, ranking.scores, strict=True)]
        ranked.add(ours, theirs, min(row.score for row in ours), show=True)
    return [ranked]


def shown_to_both(pixels: np.ndarray, size_wh, path: Path) -> np.ndarray:
    """The picture; or the letterboxed input, in bytes, where the program would lose its last row.

    The program computes the last row's place in the source as (H - 1) / (h - 1) * (h - 1), in float32, and where that
    is less than H - 1 forgets the share of row H - 1, which is nearly all.
    """
    last, steps = (np.float32(side - 1) for side in (len(pixels), letterboxed_size(*pixels.shape[1::-1], *size_wh)[1]))
    if steps < 1 or last / steps * steps >= last:
        return pixels
    print(f"{path}: compared as the network's input, since darknet's rounding would blacken its last row")
    return np.rint(255 * letterbox(pixels, *size_wh)).astype(np.uint8)


def _rows(result) -> list[Row]:
    columns = (result.labels.tolist(), result.scores.tolist(), result.boxes_xyxy.astype(float))
    return [Row(*row) for row in zip(*columns, strict=True)]


def compare(options) -> list[Comparison]:
    if options.threshold < LOWEST_THRESHOLD:
        raise UserError(f"--threshold {options.threshold}: `detector valid` knows nothing below {LOWEST_THRESHOLD}")
    model = y9.load_darknet(options.cfg, options.weights, options.names)
    model.resize = "letterbox"
    paths = [Path(source.name) for source in find_sources(options.pictures, videos=False)]
    pictures = [shown_to_both(read(path), model.size_wh, path) for path in paths]
    with tempfile.TemporaryDirectory() as folder:
        darknet = Darknet(Path(folder), options.cfg, options.weights, len(model.classes), pictures)
        if isinstance(model, y9.Classifier):
            return compare_classifier(model, darknet, paths, pictures)
        if model.tree is not None:
            raise UserError(f"{options.cfg}: Darknet on a CPU cannot run a [region] with a tree: its output is NaN")
        return compare_detector(model, darknet, paths, pictures, options.threshold)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--names", help="the names of the classes, one a line")
    parser.add_argument("--pictures", required=True, nargs="+", metavar="IMAGE|FOLDER")
    parser.add_argument("--threshold", type=float, default=0.05, help="of scores, .005 or more (default: .05)")
    options = parser.parse_args()
    try:
        comparisons = compare(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print(*comparisons, sep="\n")
    return 0 if all(comparison.agrees for comparison in comparisons) else 1


if __name__ == "__main__":
    sys.exit(main())
