"""Writes a trained network as a file for other programs; docs/export.md has what reads them."""

import secrets
import shutil
from os import PathLike
from pathlib import Path
from typing import Any

from yolo9000_jax.errors import UserError
from yolo9000_jax.export.program import Program, Reading, make_program
from yolo9000_jax.export.to_onnx import to_onnx
from yolo9000_jax.export.to_stablehlo import to_stablehlo
from yolo9000_jax.export.to_tensorflow import to_tflite, write_savedmodel
from yolo9000_jax.files import shown, write_whole
from yolo9000_jax.places import as_path, is_in_bucket
from yolo9000_jax.predict.classifier import Classifier
from yolo9000_jax.predict.detector import Detector

FORMATS = ("stablehlo", "savedmodel", "tflite", "onnx")


def save(
    predictor: Detector | Classifier,
    output: str | PathLike[str],
    format: str,
    *,
    int8: bool = False,
    **reading: Any,
) -> None:
    """Writes a detector or a classifier, with all that is done to its output, as a file that needs nothing of ours.

    Args:
        predictor: its size and resize are those of the file.
        output: the file, or of "savedmodel" the folder; there must be none yet.
        format: one of FORMATS.
        int8: of "tflite", convolutions in int8: a file of a quarter of the size, and slightly other numbers.
        reading: how a detector's output is read, the fields of `Reading`: threshold, nms, hierarchical_threshold,
            class_agnostic, max_detections.

    Raises:
        UserError: an unknown format, one that cannot hold the network or whose package is missing, or the file is there
            or cannot be written.
    """
    target = as_path(output)
    check_target(target, format)
    if int8 and format != "tflite":
        raise UserError(f"int8 is for tflite, not for {format}; leave it out")
    program = make_program(predictor, Reading(**reading))
    if format == "savedmodel":
        _write_folder(program, target)
    elif format == "tflite":
        write_whole(target, to_tflite(program, int8))
    else:
        write_whole(target, {"stablehlo": to_stablehlo, "onnx": to_onnx}[format](program))


def check_target(target: Path, format: str) -> None:
    """Raises UserError where a format is unknown, or its file is there already or can have no place there."""
    if format not in FORMATS:
        raise UserError(f"format {format!r}: choose {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    if format == "savedmodel" and is_in_bucket(target):
        raise UserError(f"{shown(target)}: a savedmodel is written to a folder here; copy that to the bucket")
    try:
        if target.exists():
            raise UserError(f"{shown(target)} is there already: choose another name, or remove it")
        if not is_in_bucket(target) and not next(each for each in target.absolute().parents if each.exists()).is_dir():
            reason = "a file is where a folder must be"
            raise UserError(f"{shown(target)}: cannot be written ({reason}); choose another place")
    except OSError as error:
        raise UserError(f"{shown(target)}: cannot be written ({error.strerror}); choose another place") from error


def _write_folder(program: Program, target: Path) -> None:
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_savedmodel(program, part)
        part.rename(target)
    except OSError as error:
        reason = error.strerror or "no space, or no permission"
        raise UserError(f"{shown(target)}: cannot be written ({reason}); choose another place") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
