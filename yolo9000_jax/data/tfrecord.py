"""Random access to TFRecord files, by walking once over the lengths of a file's records when it is first needed.

A record is its length (8 bytes, little-endian), a checksum of that (4), the data, and a checksum of them (4).
"""

import os
import struct
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from yolo9000_jax.data.table import Indexed
from yolo9000_jax.errors import UserError

HEAD_BYTES, TAIL_BYTES = 12, 4
_LENGTH = struct.Struct("<Q")


class RecordFiles(Indexed[bytes]):
    """The records of several TFRecord files on a local disk, as bytes.

    Args:
        shards: what to read, in order: (path, records in the file).
    """

    def __init__(self, shards: Sequence[tuple[str, int]]):
        self._shards = shards
        self._ends = list(accumulate(count for _, count in shards))
        self._starts: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> bytes:
        place = range(len(self))[index]
        shard = int(np.searchsorted(self._ends, place, side="right"))
        path, count = self._shards[shard]
        if shard not in self._starts:  # two threads may both walk over it; they find the same
            self._starts[shard] = record_starts(path, count)
        first = place - (self._ends[shard] - count)
        start, end = map(int, self._starts[shard][first : first + 2])
        with open(path, "rb", buffering=0) as file:
            data = os.pread(file.fileno(), end - start - HEAD_BYTES - TAIL_BYTES, start + HEAD_BYTES)
        return data


def record_starts(path: str, count: int) -> np.ndarray:
    """Where each record of a file begins, and where the last one ends: int64 [count + 1], bytes.

    Raises:
        UserError: the file is missing, or its records are not `count` or do not fill it.
    """
    try:
        file = open(path, "rb", buffering=0)
    except OSError as error:
        raise UserError(f"{path}: cannot be opened ({error.strerror}): copy it again") from None
    starts = [0]
    with file:
        size = os.fstat(file.fileno()).st_size
        while starts[-1] < size:
            head = os.pread(file.fileno(), _LENGTH.size, starts[-1])
            length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else size
            starts.append(starts[-1] + HEAD_BYTES + length + TAIL_BYTES)
    if starts[-1] != size or len(starts) != count + 1:
        raise UserError(f"{path} is truncated or broken: it should have {count} records; copy it again")
    return np.array(starts, np.int64)
