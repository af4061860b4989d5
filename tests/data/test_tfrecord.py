"""TFRecord files, written by TensorFlow."""

import os

import pytest

from yolo9000_jax.data.tfrecord import RecordFiles, record_starts
from yolo9000_jax.errors import UserError


@pytest.fixture
def records(tmp_path):
    """Two files, and what they hold."""
    import tensorflow as tf

    held = [[b"", b"a", bytes(1000)], [os.urandom(50 * index) for index in range(7)]]
    paths = [str(tmp_path / f"{index}.tfrecord") for index in range(2)]
    for path, values in zip(paths, held, strict=True):
        with tf.io.TFRecordWriter(path) as writer:
            for value in values:
                writer.write(value)
    return paths, held


def test_tfrecord(records):
    paths, held = records
    files = RecordFiles([(path, len(values)) for path, values in zip(paths, held, strict=True)])
    expected = held[0] + held[1]
    assert list(files) == expected and len(files) == 10
    assert [files[place] for place in (9, 0, -1, 3, 2)] == [expected[place] for place in (9, 0, -1, 3, 2)]
    with pytest.raises(IndexError):
        files[10]
    assert list(RecordFiles([])) == []


@pytest.mark.parametrize("cut", [1, 4, 10, 1000, 1015])
def test_tfrecord_that_is_cut(records, cut):
    (path, _), (held, _) = records
    whole = open(path, "rb").read()
    for data in (whole[:-cut], whole + whole[:cut]):
        with open(path, "wb") as file:
            file.write(data)
        with pytest.raises(UserError, match="truncated or broken: it should have 3 records"):
            record_starts(path, len(held))
