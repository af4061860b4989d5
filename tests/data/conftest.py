"""Data sets of TensorFlow Datasets, prepared once for all tests that read them."""

import pytest


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A TFDS_DATA_DIR of small data sets for each file format."""
    from tests.data.tfds_sets import prepare_all  # only these tests wait for TensorFlow

    root = tmp_path_factory.mktemp("tfds")
    prepare_all(root)
    return root


@pytest.fixture(params=["array_record", "tfrecord"])
def either_format(request, prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared / request.param))
    return prepared / request.param


@pytest.fixture
def array_record(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared / "array_record"))
    return prepared / "array_record"
