"""What `yolo9000 plan` found, for people: a table of the programs, and what a run will need."""

from typing import Any

from yolo9000_jax.report.table import Table

MIB = 1 << 20
ESTIMATED = "estimate, at best"


def programs_table(plan: dict[str, Any]) -> Table:
    """The programs of a plan, as its JSON has them, one a row."""
    columns = ("size", "GFLOP a step", "arguments", "temporaries", "peak", "of", "all-reduces", "MiB", "compiled in")
    return Table(columns, [_row(program) for program in plan["programs"]], note="Memory in MiB a device.")


def _row(program: dict[str, Any]) -> list[str | None]:
    flops = program["flops_per_step"]
    memory = [program[name] for name in ("argument_bytes", "temporary_bytes", "peak_bytes", "device_bytes")]
    return [
        str(program["size"]),
        None if flops is None else f"{flops / 1e9:.0f}",
        *(_mib(size) for size in memory),
        None if program["all_reduces"] is None else str(program["all_reduces"]),
        _mib(program["all_reduce_bytes"]),
        f"{program['compile_s']:.0f} s",
    ]


def _mib(size: int | None) -> str | None:
    return None if size is None else f"{size / MIB:.0f}"


def totals(plan: dict[str, Any]) -> list[str]:
    """The lines below the table: size, speed, cost, and what is wrong."""
    hosts = f" on {plan['hosts']} hosts" if plan["hosts"] > 1 else ""
    lines = [
        f"{plan['parameters'] / 1e6:.2f} M parameters; {len(plan['programs'])} programs for {plan['target']}, "
        f"{plan['devices']} devices{hosts}; compiled here in {plan['compile_s']:.0f} s"
    ]
    if plan["pictures_per_s"] is not None:
        parts = {name: plan[f"pictures_per_s_{name}"] for name in ("chips", "memory", "network")}
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in parts.items() if rate is not None)
        lines.append(f"pictures/s ({ESTIMATED}), as each part allows: {rates}")
        lines.append(_input_line(plan))
    if plan["hours"] is not None:
        cost = f"{plan['hours']:.2f} hours, {plan['chip_hours']:.1f} chip-hours"
        lines.append(f"{plan['steps']} steps of {plan['batch_size']} ({ESTIMATED}): {cost}")
    if plan["pretraining"]:
        lines.append(f"its pre-training, {plan['pretraining']}, comes before and is not part of this")
    return lines + [("does not fit: " if not place else "  or: ") + need for place, need in enumerate(plan["needs"])]


def _input_line(plan: dict[str, Any]) -> str:
    needed, given = plan["input_per_s_needed_a_host"], plan["input_per_s"]
    line = f"pictures/s that each host's input must give for that: {needed:.0f}"
    if given is None:
        return f"{line}; what it gives was not measured, as the data are not here"
    short = ": the input will set the pace" if given < needed else ""
    return f"{line}; this host gave {given:.0f}{short}"
