"""Pictures that EXIF asks to turn: pixels and boxes as a viewer shows them, in every reader and in training."""

import json

import numpy as np
import pytest
from PIL import Image

from yolo9000_jax.data.orientation import upright_boxes
from yolo9000_jax.data.sources import open_source
from yolo9000_jax.errors import UserError

# The stored pixels that each orientation shows at its corners (row, column), of EXIF's definition: the stored first row
# is shown at the top for 1 and 2, the bottom for 3 and 4, the left for 5 and 8, the right for 6 and 7; the stored first
# column at the left for 1 and 4, the right for 2 and 3, the top for 5 and 6, the bottom for 7 and 8.
FIRST_ROW = {1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "right", 7: "right", 8: "left"}
FIRST_COLUMN = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}

WIDTH, HEIGHT = 48, 32  # as stored
BOX = (8, 16, 24, 24)  # as stored, on the grid of blocks


def shown(pixels, orientation):
    """The stored pixels turned one by one by the definition."""
    height, width = pixels.shape[:2]
    exchanged = FIRST_ROW[orientation] in ("left", "right")
    out = np.zeros((width, height, 3) if exchanged else pixels.shape, pixels.dtype)
    for row in range(height):
        for column in range(width):
            down = {"top": row, "bottom": height - 1 - row, "left": row, "right": height - 1 - row}
            along = {"left": column, "right": width - 1 - column, "top": column, "bottom": width - 1 - column}
            first, second = down[FIRST_ROW[orientation]], along[FIRST_COLUMN[orientation]]
            out[(second, first) if exchanged else (first, second)] = pixels[row, column]
    return out


def shown_box(orientation, box=BOX, size=(WIDTH, HEIGHT)):
    """The box round the pixels of a stored box, where these are shown."""
    mask = np.zeros((size[1], size[0], 3), np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    rows, columns = np.nonzero(shown(mask, orientation)[..., 0])
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def stored_pixels(width=WIDTH, height=HEIGHT):
    levels = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return np.kron(levels, np.ones((8, 8, 1), np.uint8))


def write(path, orientation, pixels=None):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(stored_pixels() if pixels is None else pixels).save(path, exif=exif)


def coco(folder, orientation, size, box=BOX, name="a.png", pixels=None, scale=(1, 1, 1, 1)):
    write(folder / "images" / name, orientation, pixels)
    x0, y0, x1, y1 = np.divide(box, scale).tolist()
    image = {"id": 1, "file_name": name} | ({} if size is None else dict(zip(("width", "height"), size, strict=True)))
    content = {
        "images": [image],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (folder / "ann.json").write_text(json.dumps(content))
    return open_source(f"coco:{folder}/ann.json,{folder}/images")


def as_shown(orientation):
    return (WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes(orientation):
    boxes = np.float64([BOX, (0, 0, 8, 8), (40, 24, 48, 32), (0, 0, 48, 32)])
    expected = [shown_box(orientation, box.astype(int)) for box in boxes]
    np.testing.assert_array_equal(upright_boxes(boxes, WIDTH, HEIGHT, orientation), expected)
    assert upright_boxes(np.zeros((0, 4)), WIDTH, HEIGHT, orientation).shape == (0, 4)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_shown_upright(tmp_path, orientation, name):
    dataset = coco(tmp_path, orientation, None, name=name)
    record = dataset[0]
    assert (record.width, record.height) == as_shown(orientation)
    assert record.read().shape == (record.height, record.width, 3)
    difference = record.read().astype(int) - shown(stored_pixels(), orientation)
    assert np.abs(difference).mean() < (12 if name in ("a.jpg", "a.webp") else 1e-9)
    assert any("EXIF" in note for note in dataset.notes) == (orientation > 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_stated_size_tells_where_the_boxes_are(tmp_path, orientation):
    record = coco(tmp_path / "stored", orientation, (WIDTH, HEIGHT), BOX)[0]
    expected = shown_box(orientation) if orientation >= 5 else BOX  # 2 to 4 do not change the size, so it cannot tell
    np.testing.assert_array_equal(record.boxes_xyxy, [expected])
    there = shown_box(orientation)
    dataset = coco(tmp_path / "shown", orientation, as_shown(orientation), there)
    np.testing.assert_array_equal(dataset[0].boxes_xyxy, [there])
    x0, y0, x1, y1 = there
    np.testing.assert_array_equal(
        dataset[0].read()[y0:y1, x0:x1], shown(stored_pixels(), orientation)[y0:y1, x0:x1], "the pixels of the box"
    )
    with pytest.raises(UserError, match="image 1 says 48x48 but a.png is"):
        coco(tmp_path / "else", orientation, (48, 48))


def test_notes_name_exif(tmp_path):
    def note(*arguments, **options):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        (found,) = [note for note in coco(folder, *arguments, **options).notes if "EXIF" in note]
        return found

    assert "boxes on the stored pixels: both are turned" in note(6, (WIDTH, HEIGHT))
    assert "read, with its boxes, as a viewer shows it" in note(6, (HEIGHT, WIDTH), (0, 0, 5, 5))
    assert "no size tells" in note(6, None, (0, 0, 5, 5))
    assert "no size tells" in note(3, (WIDTH, HEIGHT))
    assert "no size tells" in note(6, (32, 32), pixels=stored_pixels(32, 32))


def test_fractions_of_the_stored_picture(tmp_path):
    scale = [WIDTH, HEIGHT, WIDTH, HEIGHT]
    dataset = coco(tmp_path, 6, (WIDTH, HEIGHT), scale=scale)
    np.testing.assert_allclose(dataset[0].boxes_xyxy, [shown_box(6)], atol=1e-5)


def test_a_voc_label_of_the_picture_shown(tmp_path):
    write(tmp_path / "a.jpg", 6)
    size = f"<size><width>{HEIGHT}</width><height>{WIDTH}</height></size>"
    box = "<bndbox><xmin>3</xmin><ymin>5</ymin><xmax>12</xmax><ymax>40</ymax></bndbox>"
    (tmp_path / "a.xml").write_text(f"<annotation>{size}<object><name>cat</name>{box}</object></annotation>")
    dataset = open_source(f"voc:{tmp_path}")
    np.testing.assert_array_equal(dataset[0].boxes_xyxy, [[2, 4, 12, 40]])
    assert len(dataset.notes) == 1 and "EXIF" in dataset.notes[0]


def test_a_folder_of_pictures_without_boxes(tmp_path):
    write(tmp_path / "cat/a.jpg", 6)
    dataset = open_source(f"folders:{tmp_path}")
    assert (dataset[0].width, dataset[0].height) == (HEIGHT, WIDTH) and dataset[0].read().shape == (WIDTH, HEIGHT, 3)
    assert dataset.notes == (
        "1 picture has an EXIF orientation: read, with its boxes, as a viewer shows it (first: a.jpg)",
    )
