"""Plots and drawings: the right size, in the right place, and robust to what real runs leave behind."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from yolo9000_jax.errors import UserError
from yolo9000_jax.evaluation.voc import GroundTruth, ImageDetections
from yolo9000_jax.report.comparisons import plot_accuracy_speed, plot_anchors
from yolo9000_jax.report.draw import OUTCOME_COLORS, class_color, contact_sheet, draw_against_truth, draw_boxes
from yolo9000_jax.report.plots import draw_curves
from yolo9000_jax.report.series import read_series
from yolo9000_jax.report.style import check_output, new_figure, save


def picture(height=120, width=160, value=127):
    return np.full((height, width, 3), value, np.uint8)


def changed(before, after):
    return (before != after).any(axis=-1)


def has_color(image, color):
    return bool((image == np.array(color)).all(axis=-1).any())


def check_plot(path, least_colors=20):
    """A plot is a readable picture with something on it."""
    image = np.asarray(Image.open(path).convert("RGB"))
    assert min(image.shape[:2]) >= 300
    assert len(np.unique(image.reshape(-1, 3), axis=0)) >= least_colors


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(float, (3, 4), elements=st.floats(-400, 400)),
    st.sampled_from([(1, 1), (7, 90), (120, 160)]),
    st.text(max_size=30),
)
def test_any_box_on_any_picture(boxes, size, caption):
    before = picture(*size)
    after = draw_boxes(before, boxes, [caption] * 3)
    assert after.shape == before.shape and after.dtype == np.uint8
    assert (before == 127).all()


def test_frame_is_inside_its_box():
    before = picture()
    after = draw_boxes(before, [[20, 30, 100, 90]], [""], [(255, 0, 0)])
    rows, columns = np.nonzero(changed(before, after))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 89, 20, 99)
    assert not changed(before, after)[40:80, 30:90].any()
    assert has_color(after, (255, 0, 0))


@pytest.mark.parametrize("box", [[0, 0, 60, 60], [130, 100, 160, 120], [-20, -20, 500, 500], [150, 0, 159, 8]])
def test_tab_stays_whole_inside(box):
    """The tab has as many coloured pixels in a corner as in the middle of the picture, where there is room."""

    def tab_pixels(where):
        color = (10, 200, 30)
        bare, full = (draw_boxes(picture(), [where], [text], [color]) for text in ("", "zebra"))
        rows, columns = np.nonzero(changed(bare, full))
        return np.ptp(rows) + 1, np.ptp(columns) + 1

    free = np.array(tab_pixels([40, 60, 44, 64]))
    assert (np.abs(np.array(tab_pixels(box)) - free) <= 5).all()


def test_tabs_make_room_for_each_other():
    box, colors = [50, 50, 110, 100], [(255, 0, 0), (0, 0, 255)]
    both = draw_boxes(picture(), [box, box], ["first", "second"], colors)
    for caption, color in zip(["first", "second"], colors, strict=True):
        bare, alone = (draw_boxes(picture(), [box], [text], [color]) for text in ("", caption))
        seen, whole = ((image == np.array(color)).all(axis=-1).sum() for image in (both, alone))
        assert seen > 0.9 * (whole - (bare == np.array(color)).all(axis=-1).sum()) > 0
    bare, alone = (draw_boxes(picture(), [box], [text], colors[:1]) for text in ("", "first"))
    tab = changed(bare, alone)
    assert (both[tab] == alone[tab]).all()


def test_line_grows_with_the_picture():
    small, large = (draw_boxes(picture(s, s), [[10, 10, s - 10, s - 10]], [""], [(255, 0, 0)]) for s in (150, 1500))
    widths = [(image[image.shape[0] // 2, : image.shape[1] // 2, 0] == 255).sum() for image in (small, large)]
    assert widths == [1, 5]


def test_captions_do_not_hide_a_crowded_picture():
    """Two lines of 15 letters at each of 48 boxes would cover the picture 2.5 times."""
    before = np.zeros((480, 640, 3), np.uint8)
    corners = np.stack(np.meshgrid(np.arange(8) * 80, np.arange(6) * 80), -1).reshape(-1, 2)
    boxes = np.concatenate([corners, corners + 78], axis=1)
    crowded = draw_boxes(before, boxes, ["erythrocyte 0.7\nmuch more of it"] * 48, [(255, 0, 0)] * 48)
    assert 0.1 < np.any(crowded != before, axis=-1).mean() < 0.5


def test_names_without_room_are_numbers_in_a_list():
    """No box is hidden by more than a small tab, and the list below has all names; without one they are left out."""
    before = np.zeros((240, 320, 3), np.uint8)
    corners = np.stack(np.meshgrid(np.arange(8) * 40, np.arange(6) * 40), -1).reshape(-1, 2)
    boxes = np.concatenate([corners, corners + 24], axis=1)
    names, red = ["a long name of a piece 0.9"] * 48, [(255, 0, 0)] * 48
    bare, plain, listed = (
        draw_boxes(before, boxes, words, red, listed=below)
        for words, below in (([""] * 48, False), (names, False), (names, True))
    )
    np.testing.assert_array_equal(plain, bare)
    assert listed.shape[0] > 240 and listed.shape[1:] == (320, 3)
    assert 0 < changed(bare, listed[:240]).mean() < 0.2
    assert (listed[240:] == (255, 0, 0)).all(axis=-1).sum() > 48 * 9, "a mark for each"


def test_long_captions_are_cut_short():
    after = draw_boxes(picture(), [[50, 50, 90, 90]], ["a very long name " * 10], [(255, 255, 0)])
    rows, columns = np.nonzero(changed(picture(), after))
    tab = after[rows.min() : rows.min() + 8, columns.min() : columns.max() + 1]
    assert np.ptp(columns) > 100 and (tab.sum(axis=-1) < 200).any()
    assert (tab[:, [0, 1, -2, -1]] == (255, 255, 0)).all()


def test_class_colors_differ():
    colors = np.array([class_color(i) for i in range(80)], int)
    assert len({tuple(color) for color in colors}) == 80
    distance = np.linalg.norm(colors[:20, None] - colors[None, :20], axis=-1)
    assert distance[~np.eye(20, dtype=bool)].min() > 40
    assert class_color(np.int32(7)) == class_color(7)


def test_right_wrong_and_missed():
    names, clear = ["cat", "dog"], np.zeros(1, bool)
    right, wrong, ignored = (OUTCOME_COLORS[outcome] for outcome in (1, 0, -1))
    box = np.array([[30.0, 40.0, 90.0, 100.0]])

    def draw(label, difficult, score=0.9):
        return draw_against_truth(
            picture(), ImageDetections(box, [score], [label]), GroundTruth(box, [0], difficult), names
        )

    assert has_color(draw(0, clear), right) and not has_color(draw(0, clear), wrong)
    assert has_color(draw(1, clear), wrong) and not has_color(draw(1, clear), right)
    assert has_color(draw(0, ~clear), ignored) and not has_color(draw(0, ~clear), right)
    nothing = ImageDetections(np.zeros((0, 4)), [], [])
    missed = draw_against_truth(picture(), nothing, GroundTruth(box, [0], clear), names)
    unmarked = draw_against_truth(picture(), nothing, GroundTruth(box, [0], ~clear), names)
    assert changed(missed, unmarked)[20:60].any()
    assert has_color(unmarked, (255, 255, 255))
    assert not changed(picture(), unmarked)[:40].any()


def test_contact_sheet():
    red, blue, green = picture(50, 100), picture(100, 100), picture(30, 30)
    red[:], blue[:], green[:] = (255, 0, 0), (0, 0, 255), (0, 255, 0)
    sheet = contact_sheet([red, blue, green], 2, tile=80)
    gap = 2
    assert sheet.shape == (3 * gap + 2 * 80, 3 * gap + 2 * 80, 3) and sheet.dtype == np.uint8
    counts = [(sheet == np.array(color)).all(axis=-1).sum() for color in ((255, 0, 0), (0, 0, 255), (0, 255, 0))]
    assert counts == [80 * 40, 80 * 80, 80 * 80]
    named = contact_sheet([red, blue, green], 2, tile=80, captions=["a", "b" * 100, ""])
    assert named.shape[0] > sheet.shape[0] and named.shape[1] == sheet.shape[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_boxes(picture(), [[0, 0, 1, 1]], []), "1 boxes with 0 captions"),
        (lambda: draw_boxes(picture(), [[0, 0, 1]], ["a"]), "N, 4"),
        (lambda: draw_boxes(picture() / 255, [], []), "uint8 RGB"),
        (lambda: contact_sheet([], 3), "0 pictures"),
        (lambda: contact_sheet([picture()], 3, captions=["a", "b"]), "1 pictures with 2 captions"),
        (lambda: plot_anchors({}, "x.png"), "number of priors"),
        (lambda: plot_anchors({"a": {}}, "x.png"), "number of priors"),
        (lambda: plot_accuracy_speed({"a": []}, {}, "x.png"), "no speeds"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(UserError, match=message):
        call()


def plot_curves(path, output):
    series, broken = read_series(path)
    save(draw_curves(series, str(path), broken), output)


def write_metrics(path, last=""):
    lines = [
        {
            "step": s,
            "loss": 9 / (s + 1),
            "loss_xy": 1 / (s + 1),
            "learning_rate": 0.1 * (s > 0),
            "images_per_s": 90 + s,
        }
        for s in range(40)
    ]
    lines.insert(20, {"step": 19, "voc_ap50": 0.4, "note": "text", "recall50": None})
    path.write_text("\n".join(map(json.dumps, lines)) + "\n" + last)
    return path


def test_curves_of_a_killed_run(tmp_path):
    path = write_metrics(tmp_path / "metrics.jsonl", '{"step": 12, "loss": 5.0}\n{"step": 40, "los')
    series, broken = read_series(path)
    assert broken == 1
    assert series["loss"][0].tolist() == list(range(40))
    assert series["loss"][1][12] == 5.0
    assert set(series) == {"loss", "loss_xy", "learning_rate", "images_per_s", "voc_ap50"}
    plot_curves(path, tmp_path / "new" / "curves.png")
    check_plot(tmp_path / "new" / "curves.png")


@pytest.mark.parametrize(
    "lines",
    [
        '{"step": 0, "loss": NaN}\n',
        '{"step": 0, "loss": 0.0, "learning_rate": 0}\n3\nnull\n',
        '{"step": 5, "top1": 0.5}\n',
    ],
)
def test_curves_of_a_strange_run(tmp_path, lines):
    (tmp_path / "metrics.jsonl").write_text(lines)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    check_plot(tmp_path / "curves.png")


def test_curves_of_nothing(tmp_path):
    with pytest.raises(UserError, match="metrics.jsonl"):
        plot_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    (tmp_path / "metrics.jsonl").write_text('{"st')
    with pytest.raises(UserError, match="nothing to draw"):
        plot_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")


def test_anchors(tmp_path):
    plot_anchors({"$a_set": {5: 0.61, "1": 0.4, 9: 0.67}}, tmp_path / "plain.png")
    curves = {name: {k: 1 - 0.6 / k for k in range(1, 16)} for name in ("one", "other")}
    marks = {"one": {f"method {i}": (i, 0.5) for i in range(1, 12)}}
    plot_anchors(curves, tmp_path / "marked.svg", marks, {name: [[0.1, 0.2], [0.3, 0.1]] for name in curves})
    check_plot(tmp_path / "plain.png")
    assert (tmp_path / "marked.svg").read_text().count("<path") > 40
    with pytest.raises(UserError, match="plot.docx: cannot write"):
        plot_anchors({"one": {1: 0.4}}, tmp_path / "plot.docx")


def test_accuracy_against_speed(tmp_path):
    """Whatever is measured is drawn without a warning: accuracies or none, a missing one, and cited numbers."""
    cited = {"paper": [(288, 91, 0.69), (544, 40, 0.786)]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number, aps in enumerate([(0.2, 0.3), (None, None), (0.2, None), (0.0, 0.0)]):
            points = [(288, 30.0, 28.0, 31.0, aps[0]), (544, 8.0, 8.0, 8.5, aps[1])]
            plot_accuracy_speed({"$this_machine": points}, cited, tmp_path / f"{number}.png")
            check_plot(tmp_path / f"{number}.png")


def test_a_plot_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    for good in (None, tmp_path / "new/deep/a.png", tmp_path / "a.SVG"):
        check_output(good)
    for bad in (tmp_path / "a.docx", tmp_path / "a", tmp_path, tmp_path / "file/a.png"):
        with pytest.raises(UserError, match="cannot be written") as caught:
            check_output(bad)
        assert str(bad) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_plot_takes_the_place_of_an_earlier_one_and_of_no_picture(tmp_path, monkeypatch):
    for name in ("a.png", "a.svg", "a.pdf"):
        save(new_figure(2, 2)[0], tmp_path / name)
        check_output(tmp_path / name)
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    for in_bucket in (False, True):
        monkeypatch.setattr("yolo9000_jax.report.style.is_in_bucket", lambda path, found=in_bucket: found)
        with pytest.raises(UserError, match="photo.png is there, and no result of this command"):
            check_output(tmp_path / "photo.png")
