"""`yolo9000 convert`: Darknet's files to a workdir and back."""

import argparse

from yolo9000_jax.cli.arguments import Verbs, add_verb
from yolo9000_jax.errors import UserError


def add(verbs: Verbs) -> None:
    """Adds the verb of this module."""
    verb = add_verb(
        verbs, "convert", convert, "make a workdir of Darknet's files (with --cfg), or Darknet's files of a workdir"
    )
    verb.add_argument("--cfg", metavar="FILE", help="Darknet's network, to be made a workdir")
    verb.add_argument(
        "--weights", required=True, metavar="FILE", help="its weights; without --cfg, where to write them"
    )
    verb.add_argument(
        "--workdir", required=True, metavar="DIR", help="the folder to make; without --cfg, the one to read"
    )
    verb.add_argument("--names", metavar="FILE", help="the names of the network's classes, one a line")


def convert(options: argparse.Namespace) -> None:
    """Converts, and prints what was written."""
    from yolo9000_jax import devices
    from yolo9000_jax.darknet.convert import from_workdir, to_workdir

    devices.described()  # there are some: a mistake in JAX_PLATFORMS is said before the work
    if options.cfg:
        to_workdir(options.cfg, options.weights, options.workdir, options.names)
        print(f"workdir {options.workdir}")
    elif options.names:
        raise UserError("--names goes with --cfg; a workdir knows its classes")
    else:
        print("written: " + ", ".join(str(path) for path in from_workdir(options.workdir, options.weights)))
