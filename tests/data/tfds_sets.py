"""Data sets of TensorFlow Datasets' own formats, and what is put into them."""

import numpy as np
import pytest

from yolo9000_jax.data import tfds as source

tfds = pytest.importorskip("tensorflow_datasets")
features = tfds.features

FORMATS = ("array_record", "tfrecord")
VOC_CLASSES = ("aeroplane", "cat", "person")
SYNSETS = ("n01440764", "n02085620", "n02123045")
SHARDS = 3


class Prepared(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes the examples it was given, in the real format."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, name, examples, inner, **options):
        self.name, self._examples, self._inner = name, examples, inner
        super().__init__(**options)

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=self._inner)

    def _split_generators(self, dl_manager):
        return {split: enumerate(examples) for split, examples in self._examples.items()}

    def _generate_examples(self):
        raise AssertionError


def prepare(folder, name, inner, examples, file_format="array_record", config=None, shards=1):
    """Writes {split: examples} as the prepared data set `name`; where they lie."""
    config = config and tfds.core.BuilderConfig(name=config, version="1.0.0")
    builder = Prepared(
        name=name,
        examples=examples,
        inner=features.FeaturesDict(inner),
        data_dir=folder,
        config=config,
        file_format=file_format,
    )
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=shards))
    return builder.data_path


def picture(index, width=40, height=20):
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)


def box(x0, y0, x1, y1, width=40, height=20):
    return features.BBox(ymin=y0 / height, xmin=x0 / width, ymax=y1 / height, xmax=x1 / width)


# What is put in. VOC's corners count from 1: picture i has i % 4 objects, the last of three difficult.


def voc_objects(index):
    return [(1 + 4 * j, 1 + 2 * j, 9 + 4 * j, 7 + 2 * j, j % 3, j == 2) for j in range(index % 4)]


def voc_example(index):
    objects = [
        {"bbox": box(*corners), "label": label, "is_difficult": difficult, "is_truncated": False}
        for *corners, label, difficult in voc_objects(index)
    ]
    if index == 5:  # one without area, as the last
        objects.append({"bbox": box(7, 7, 7, 9), "label": 0, "is_difficult": False, "is_truncated": False})
    return {"image": picture(index), "image/filename": f"{index:06}.png", "objects": objects, "labels": [0]}


VOC = {
    "image": features.Image(),
    "image/filename": features.Text(),
    "objects": features.Sequence(
        {
            "bbox": features.BBoxFeature(),
            "label": features.ClassLabel(names=VOC_CLASSES),
            "is_difficult": np.bool_,
            "is_truncated": np.bool_,
        }
    ),
    "labels": features.Sequence(features.ClassLabel(names=VOC_CLASSES)),
}


def coco(**label):
    objects = {"bbox": features.BBoxFeature(), "label": features.ClassLabel(**label), "is_crowd": np.bool_}
    return {"image": features.Image(), "image/id": np.int64, "objects": features.Sequence(objects)}


def coco_example(index):
    objects = [{"bbox": box(4, 2, 30, 18), "label": 79, "is_crowd": True}] * (index == 1)
    return {
        "image": picture(index),
        "image/id": index,
        "objects": [{"bbox": box(0, 0, 10.5, 20), "label": index, "is_crowd": False}, *objects],
    }


def labelled(names):
    return {"image": features.Image(), "label": features.ClassLabel(names=names), "file_name": features.Text()}


def labelled_example(index, names):
    return {"image": picture(index), "label": names.index(SYNSETS[index % 3]), "file_name": f"{index}.JPEG"}


def prepare_all(root):
    """A TFDS_DATA_DIR of small data sets for each file format."""
    tfds.disable_progress_bar()
    for kind in FORMATS:
        folder = root / kind
        splits = {"train": map(voc_example, range(10)), "validation": map(voc_example, range(10, 14))}
        prepare(folder, "voc", VOC, splits, kind, "2007", SHARDS)
        prepare(folder, "voc", VOC, {"train": map(voc_example, range(20, 23))}, kind, "2012")
    folder = root / "array_record"
    prepare(folder, "coco", coco(num_classes=80), {"train": map(coco_example, range(4))}, config="2017")
    swapped = [*source.coco_classes()][::-1]
    prepare(folder, "coco", coco(names=swapped), {"train": map(coco_example, range(4))}, config="named")
    for name, config, names in (("imagenet2012", None, SYNSETS), ("imagenet_resized", "64x64", SYNSETS[::-1])):
        examples = {"train": [labelled_example(index, names) for index in range(6)]}
        if not config:
            examples["test"] = [{"image": picture(0), "label": -1, "file_name": "test.JPEG"}]
        prepare(folder, name, labelled(names), examples, config=config)


def number(record):
    """Which example a record of the VOC-like set is, by the name of its file."""
    return int(record.name.rpartition("(")[2].removesuffix(".png)"))


def assert_is_voc(record):
    index = number(record)
    expected = voc_objects(index)
    np.testing.assert_array_equal(record.read(), picture(index))
    assert (record.image, record.width, record.height) == (None, 40, 20)
    corners = [(x0 - 1, y0 - 1, x1, y1) for x0, y0, x1, y1, *_ in expected]
    np.testing.assert_allclose(record.boxes_xyxy, np.reshape(corners, (-1, 4)), atol=1e-4)
    assert record.labels.tolist() == [label for *_, label, _ in expected]
    assert record.difficult.tolist() == [difficult for *_, difficult in expected]
    dtypes = record.boxes_xyxy.dtype, record.labels.dtype, record.difficult.dtype
    assert dtypes == (np.float32, np.int32, bool)
