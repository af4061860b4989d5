"""Reads compiled programs: what is in the text of XLA's HLO, as a compiled JAX function's `as_text` gives it."""

import math
import re
from collections import defaultdict
from dataclasses import dataclass

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
HOST = ("infeed", "outfeed", "send", "recv")

_COMPUTATION = re.compile(r"^(?P<entry>ENTRY )?%(?P<name>[\w.\-]+) .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%(?P<name>[\w.\-]+) = (?P<types>.*?) (?P<kind>[a-z][\w\-]*)\((?P<rest>.*)$")
_ARRAY = re.compile(r"\b(?:pred|[a-z]+?(?P<bits>\d+)(?:e\d+m\d+\w*)?)\[(?P<sides>[\d,]*)\]")
_CALLED = re.compile(r"(?:calls|to_apply|body|condition)=%([\w.\-]+)|branch_computations=\{([^}]*)\}")
_TIMES = re.compile(r'known_trip_count":\{"n":"(\d+)"')
_WINDOW = re.compile(r"window=\{size=([\dx]+)")
_SPREAD = re.compile(r"window=\{[^}]*lhs_dilate=([\dx]+)")
_LABELS = re.compile(r"dim_labels=\w+_(\w+)->")
_CONTRACTED = re.compile(r"lhs_contracting_dims=\{([\d,]*)\}")
_GROUPS = re.compile(r"replica_groups=(?:\[(\d+),\d+\]|\{((?:\{[\d,]*\},?)*)\})")


@dataclass(frozen=True)
class Contents:
    """What a program does on one device each time it runs; what a loop holds counts as often as the loop runs.

    flops: operations of convolutions and products of matrices, as `models.cost` counts them: a multiplication with its
        addition is two, the padding under a convolution's windows included.
    all_reduces, all_reduce_bytes: how many, and how large all of them together. groups: of devices that they sum over;
        1: all devices at once. other_collectives: how many of the other kinds.
    host_transfers: operations in which the host takes part.
    """

    flops: int
    all_reduces: int
    all_reduce_bytes: int
    groups: int
    other_collectives: int
    host_transfers: int


def read_hlo(text: str) -> Contents:
    """What is in the text of a compiled module."""
    total: dict[str, int] = defaultdict(int)
    groups, sides, times, computation = 1, _sides(text), _times(text), ""
    for line in text.splitlines():
        if begun := _COMPUTATION.match(line):
            computation = begun["name"]
        found = _INSTRUCTION.match(line)
        if found is None:
            continue
        runs, kind = times[computation], found["kind"].removesuffix("-start")
        total["flops"] += runs * _flops(found, sides)
        if kind == "all-reduce":
            total["all_reduces"] += runs
            total["all_reduce_bytes"] += runs * sum(map(_bytes, _ARRAY.finditer(found["types"])))
            groups = max(groups, _groups(found["rest"]))
        elif kind in COLLECTIVES:
            total["other_collectives"] += runs
        total["host_transfers"] += runs * _is_of_the_host(kind, found["rest"])
    names = ("flops", "all_reduces", "all_reduce_bytes", "other_collectives", "host_transfers")
    return Contents(groups=groups, **{name: total[name] for name in names})


def _sides(text: str) -> dict[str, list[int]]:
    """The shape of each instruction's result, of a tuple its first array's."""
    found = {}
    for line in text.splitlines():
        if (instruction := _INSTRUCTION.match(line)) and (array := _ARRAY.search(instruction["types"])):
            found[instruction["name"]] = _numbers(array["sides"])
    return found


def _times(text: str) -> dict[str, int]:
    """How often each computation runs when the program does; a loop whose length is not known counts once."""
    calls: dict[str, list[tuple[str, int]]] = defaultdict(list)
    computation, entry = "", ""
    for line in text.splitlines():
        if begun := _COMPUTATION.match(line):
            computation = begun["name"]
            entry = computation if begun["entry"] else entry
        times = int(found[1]) if " while(" in line and (found := _TIMES.search(line)) else 1
        for called, branches in _CALLED.findall(line):
            names = [called] if called else re.findall(r"%([\w.\-]+)", branches)
            calls[computation] += [(name, times) for name in names]
    runs: dict[str, int] = defaultdict(int)
    left = [(entry, 1)]
    while left:
        name, count = left.pop()
        runs[name] += count
        left += [(called, count * times) for called, times in calls[name]]
    return runs


def _flops(instruction: re.Match[str], sides: dict[str, list[int]]) -> int:
    kind, rest = instruction["kind"], instruction["rest"]
    if kind not in ("convolution", "dot"):
        return 0
    result = math.prod(sides[instruction["name"]])
    left, right = re.findall(r"%([\w.\-]+)", rest)[:2]
    if kind == "dot":
        axes = _CONTRACTED.search(rest)
        return 2 * result * math.prod(sides[left][axis] for axis in _numbers(axes[1] if axes else ""))
    window, labels = _WINDOW.search(rest), _LABELS.search(rest)
    inputs = sides[right][labels[1].index("i")] if labels else 1
    # Backwards through a stride the pictures are spread, with zeros in between, which are not worked on.
    spread = _SPREAD.search(rest)
    total = 2 * result * inputs * math.prod(_sizes(window))
    return total // math.prod(_sizes(spread))


def _sizes(found: re.Match[str] | None) -> list[int]:
    """The numbers of "3x3"."""
    return [int(side) for side in found[1].split("x")] if found else []


def _is_of_the_host(kind: str, rest: str) -> bool:
    target = re.search(r'custom_call_target="([^"]*)"', rest) if kind == "custom-call" else None
    return kind in HOST or target is not None and re.search("callback|host", target[1], re.I) is not None


def _bytes(array: re.Match[str]) -> int:
    return max(1, int(array["bits"] or 8) // 8) * math.prod(_numbers(array["sides"]))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


def _groups(attributes: str) -> int:
    """How many groups `replica_groups={{0,1},{2,3}}`, or `replica_groups=[2,2]<=[4]`, lists; {} is one of all."""
    found = _GROUPS.search(attributes)
    if found is None:
        return 1
    return int(found[1]) if found[1] else max(1, found[2].count("{"))
