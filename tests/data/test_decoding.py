"""TensorFlow's decoding of training pictures gives the bytes that Pillow gives elsewhere, for files of all kinds."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers import data_dir
from tests.images.pictures import encoded, encoded_pictures, picture
from yolo9000_jax.images import reading

tf = pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def decode():
    """`loading.decode` as the input runs it, in a graph."""
    from yolo9000_jax.data import loading

    signature = [tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.bool)]
    graph = tf.function(loading.decode, input_signature=signature)
    return lambda data, is_plain=True: graph(data, is_plain)


@pytest.mark.parametrize("name", encoded_pictures())
def test_the_same_bytes(decode, name):
    data = encoded_pictures()[name]
    found = decode(data, reading.inspect_bytes(data, name).plain).numpy()
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, reading.decode(data, name))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pictures_to_be_turned(decode, kind):
    """All eight orientations; each gives another picture."""
    seen = []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encoded(picture(64, 48), kind, exif=exif)
        header = reading.inspect_bytes(data, kind)
        assert header.orientation == orientation
        found = decode(data, header.plain).numpy()
        np.testing.assert_array_equal(found, reading.decode(data, kind))
        assert not any(np.array_equal(found, other) for other in seen)
        seen.append(found)


def test_the_test_sees_a_difference():
    """TensorFlow's default differs for most JPEG files, so that agreement above says something."""
    files = {name: data for name, data in encoded_pictures().items() if "quality 75" in name}
    differ = [
        name
        for name, data in files.items()
        if (tf.io.decode_jpeg(data, channels=3).numpy() != reading.decode(data, name)).any()
    ]
    assert len(differ) > len(files) / 2


def test_photographs(decode):
    for path in sorted(data_dir("coco128").rglob("*.jpg"))[:40]:
        np.testing.assert_array_equal(decode(path.read_bytes()).numpy(), reading.read(path), err_msg=path.name)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_broken_files_are_refused(decode, kind):
    whole = encoded(picture(64, 48), kind)
    for broken in (whole[: len(whole) // 2], whole[:20], b"no picture", b""):
        with pytest.raises(tf.errors.OpError):
            decode(broken)
