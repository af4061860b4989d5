"""`yolo9000 VERB …`: the arguments; what the verbs do is in verbs.py."""

import argparse
import os
import sys
from pathlib import Path

from yolo9000_jax.cli import verbs
from yolo9000_jax.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    """Runs one verb; returns the exit status: 0, or 1 after one line that says what is wrong and what to do."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    takes_keys = options.verb in ("train", "ablation")  # --config.a.b=value
    if rest and not takes_keys:
        parser.error(f"unknown argument {rest[0]}")
    try:
        _set_environment()
        options.run(options, rest) if takes_keys else options.run(options)
    except UserError as error:
        print(f"yolo9000: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("yolo9000: stopped", file=sys.stderr)
        return 1
    return 0


def _set_environment() -> None:
    """Compiled programs are kept between runs, unless JAX_COMPILATION_CACHE_DIR says where; TensorFlow says nothing."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # it announces them on stderr, where only mistakes belong
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(home / "yolo9000_jax" / "xla")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="yolo9000", description="YOLOv2 and YOLO9000: train, evaluate, predict.")
    subparsers = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    demo = subparsers.add_parser("demo", help="train a small detector here, now, and look at what it finds")
    demo.add_argument("--workdir", default="demo", help="where the results go (default: demo)")
    demo.add_argument("--minutes", type=float, default=8.0, help="minutes of training (default: 8)")
    demo.set_defaults(run=verbs.demo)

    train = subparsers.add_parser("train", help="train what a config describes, or carry on", allow_abbrev=False)
    train.add_argument("--config", required=True, help="FILE.py or FILE.py:ROW; change a key with --config.a.b=value")
    train.add_argument("--workdir", required=True, help="the same workdir carries on where the run stopped")
    train.add_argument(
        "--distributed",
        nargs="?",
        const="",
        metavar="HOST:PORT,N,I",
        help="one of N hosts that train together, the I-th from 0; the first is HOST (default: ask the environment)",
    )
    train.set_defaults(run=verbs.train)

    ablation = subparsers.add_parser(
        "ablation", help="train and judge the rows of an ablation, and make its table", allow_abbrev=False
    )
    ablation.add_argument("--config", required=True, help="FILE.py with the rows, such as experiments/ablation.py")
    ablation.add_argument("--workdir", required=True, help="the same workdir carries on; machines may share it")
    ablation.add_argument("--rows", help="a,b,… (default: all)")
    ablation.add_argument("--seeds", type=int, default=1, help="runs of each row, with seeds 0, 1, … (default: 1)")
    ablation.add_argument("--stages", help="folder of the pre-training (default: stages in the workdir)")
    ablation.add_argument("--show", action="store_true", help="train nothing, make the table of what is there")
    ablation.set_defaults(run=verbs.ablation)

    evaluate = subparsers.add_parser("evaluate", help="measure a trained detector or classifier on a data set")
    _add_model(evaluate, ("letterbox", "stretch", "crop"))
    evaluate.add_argument("--dataset", help="SOURCE; default: the one it was evaluated on in training")
    evaluate.add_argument("--split", help="default: the one it was evaluated on in training; with --cfg all")
    evaluate.add_argument("--size", type=int, help="side of the network's input, a multiple of 32")
    evaluate.add_argument(
        "--hierarchical-threshold", type=float, help="with a tree, how sure the report's names must be (default: .5)"
    )
    evaluate.add_argument("--json", help="write the metrics here")
    evaluate.add_argument("--report", help="folder for the precision/recall plot and the pictures")
    evaluate.set_defaults(run=verbs.evaluate)

    predict = subparsers.add_parser("predict", help="find objects in pictures, folders of pictures, or videos")
    predict.add_argument("inputs", nargs="+", metavar="IMAGE|FOLDER|VIDEO")
    _add_model(predict, ("letterbox", "stretch"))
    predict.add_argument("--size", type=int, help="side of the network's input, a multiple of 32")
    predict.add_argument("--threshold", type=float, default=0.25, help="least score (default: .25)")
    predict.add_argument("--nms", type=float, default=0.45, help="IoU above which the weaker box goes (default: .45)")
    predict.add_argument(
        "--hierarchical-threshold", type=float, help="with a tree of classes, how sure a label must be (default: .5)"
    )
    predict.add_argument("--json", help="write the detections here")
    predict.add_argument("--output", help="folder for the pictures with boxes")
    predict.set_defaults(run=verbs.predict)

    classify = subparsers.add_parser("classify", help="say what is in pictures or folders of pictures")
    classify.add_argument("inputs", nargs="+", metavar="IMAGE|FOLDER")
    _add_model(classify, ("crop", "letterbox", "stretch"))
    classify.add_argument("--top", type=int, default=5, help="how many classes a picture (default: 5)")
    classify.add_argument("--json", help="write the classes here")
    classify.set_defaults(run=verbs.classify)

    anchors = subparsers.add_parser("anchors", help="choose priors by k-means on a data set's boxes")
    anchors.add_argument("--dataset", required=True, action="append", help="SOURCE; with --compare several, one each")
    anchors.add_argument("--split", action="append", help="default: train; once for all data sets, or once for each")
    anchors.add_argument("-k", type=int, default=5, help="how many (default: 5)")
    anchors.add_argument("--size", type=int, default=416, help="side of the network's input (default: 416)")
    anchors.add_argument("--json", help="write the priors here")
    anchors.add_argument("--plot", help="picture of average IoU against k (the paper's figure 2)")
    anchors.add_argument("--compare", action="store_true", help="with other ways to choose them (the paper's table 1)")
    anchors.set_defaults(run=verbs.anchors)

    benchmark = subparsers.add_parser(
        "benchmark", help="frames a second, and mAP, at several sizes (the paper's table 3)"
    )
    _add_model(benchmark, ("letterbox", "stretch"))
    benchmark.add_argument("--sizes", default="288,352,416,480,544", help="multiples of 32 (default: %(default)s)")
    benchmark.add_argument("--dataset", help="SOURCE to measure mAP on; default: speed only")
    benchmark.add_argument("--split", help="default: the one it was evaluated on in training; with --cfg all")
    benchmark.add_argument("--batch-size", type=int, default=1, help="pictures at once (default: 1)")
    benchmark.add_argument("--json", help="write the numbers here")
    benchmark.add_argument("--plot", help="picture of mAP against speed (the paper's figure 4); of speed without data")
    benchmark.set_defaults(run=verbs.benchmark)

    convert = subparsers.add_parser("convert", help="Darknet's files to a workdir (with --cfg), or a workdir to them")
    convert.add_argument("--cfg", help="Darknet's network, to be made a workdir")
    convert.add_argument("--weights", required=True, help="its weights; without --cfg, where to write them")
    convert.add_argument("--workdir", required=True, help="the folder to make; without --cfg, the one to read")
    convert.add_argument("--names", help="the names of the network's classes, one a line")
    convert.set_defaults(run=verbs.convert)

    check = subparsers.add_parser("check", help="read a whole data set and say what is in it and what is wrong")
    check.add_argument("--dataset", required=True, help="SOURCE")
    check.add_argument("--split", default="all")
    check.set_defaults(run=verbs.check)
    _add_wordtree(
        subparsers.add_parser("wordtree", help="build a tree of classes from WordNet; show, compare, merge trees")
    )
    return parser


def _add_wordtree(verb) -> None:
    actions = verb.add_subparsers(dest="action", required=True, metavar="build|show|compare|merge")
    build = actions.add_parser("build", help="join lists of labels in a tree, by way of WordNet")
    build.add_argument(
        "--labels", action="append", required=True, help="a file of one label a line, or SOURCE; give it once a list"
    )
    build.add_argument("--output", required=True, help="FILE.tree; FILE.names goes beside it")
    build.add_argument("--roots", nargs="+", help="synsets that the tree ends in (default: physical entity)")
    build.add_argument("--collapse", action="store_true", help="leave out inner nodes with a single child")
    build.add_argument("--maps", action="store_true", help="also write FILE.LIST.map, each label's node, for each list")
    build.set_defaults(run=verbs.wordtree_build)
    show = actions.add_parser("show", help="print a tree, or what is below and above a node of it")
    show.add_argument("tree", metavar="F.tree", help="or emoji, the tree that comes with the package")
    show.add_argument("node", nargs="?", metavar="NODE", help="a synset or a name")
    show.add_argument("--depth", type=int, help="how many levels below (default: all)")
    show.set_defaults(run=verbs.wordtree_show)
    compare = actions.add_parser("compare", help="count how many nodes of two trees have the same parent")
    compare.add_argument("tree", metavar="F.tree")
    compare.add_argument("reference", metavar="REFERENCE.tree")
    compare.set_defaults(run=verbs.wordtree_compare)
    merge = actions.add_parser("merge", help="join trees by the synsets that they share")
    merge.add_argument("trees", nargs="+", metavar="F.tree")
    merge.add_argument("--output", required=True, help="FILE.tree; FILE.names goes beside it")
    merge.set_defaults(run=verbs.wordtree_merge)


def _add_model(verb, resizes: tuple[str, ...]) -> None:
    """The arguments that say which network, and how it gets its pictures."""
    verb.add_argument("--workdir", help="a workdir of `yolo9000 train`; or else:")
    verb.add_argument("--cfg", help="Darknet's description of a network")
    verb.add_argument("--weights", help="Darknet's weights of it")
    verb.add_argument("--names", help="the names of its classes, one a line")
    verb.add_argument("--resize", choices=resizes, help="how a picture is brought to the network's size")
