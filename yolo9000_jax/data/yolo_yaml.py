"""YAML as a data.yaml has it: mappings, lists and texts. Nothing in it is ever run, and no scalar is guessed at.

A scalar is the text that stands there, so that classes called `no`, `1.10` or `007` keep their names.
"""

import yaml

from yolo9000_jax.data.messages import quote
from yolo9000_jax.errors import UserError

DEEPEST = 20  # levels of lists in lists
NULLS = ("", "~", "null", "Null", "NULL")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where there is it, is ten times as fast

Value = str | None | list["Value"] | dict[str, "Value"]


def parse_yaml(text: str, name: str) -> Value:
    """The value of the first document of a YAML text, None where there is none.

    Args:
        text: the YAML. Tabs at the beginning of a line, which YAML forbids, are taken as blanks.
        name: what messages call it.

    Raises:
        UserError: the text is no YAML, is nested too deeply, or a key stands twice in a mapping with different values.
    """
    lines = (line[: len(line) - len(line.lstrip())].expandtabs(4) + line.lstrip() for line in text.split("\n"))
    try:
        return _build("\n".join(lines), name)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__)
        hint = "in double quotes write / for \\" if "escape" in problem else "correct it"
        raise UserError(f"{name}{line}: not readable as YAML ({problem.splitlines()[0]}): {hint}") from None


def _build(text: str, name: str) -> Value:
    """Puts the events of the parser together, which costs no more than the text is long, whatever it says."""
    top: list[Value] = []
    open_values: list[list | dict] = [top]
    keys: list[str | None] = [None]  # of each open mapping, the key whose value comes next
    anchors: dict[str, Value] = {}
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.NodeEvent):
            value = _start(event, anchors, name)
            holder, key = open_values[-1], keys[-1]
            if isinstance(holder, list):
                holder.append(value)
            elif key is None:
                keys[-1] = _key(event, value, name)
            else:
                _put(holder, key, value, event, name)
                keys[-1] = None
            if isinstance(value, list | dict) and isinstance(event, yaml.CollectionStartEvent):
                if len(open_values) > DEEPEST:
                    where = _place(event, name)
                    raise UserError(f"{where}: lists in lists, more than {DEEPEST} deep: this is no data.yaml")
                open_values.append(value)
                keys.append(None)
        elif isinstance(event, yaml.CollectionEndEvent):
            open_values.pop()
            keys.pop()
        elif isinstance(event, yaml.DocumentEndEvent):
            break
    return top[0] if top else None


def _start(event: yaml.NodeEvent, anchors: dict[str, Value], name: str) -> Value:
    """The value that begins here; a list or a mapping is filled by what follows."""
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise UserError(f"{_place(event, name)}: '*' refers to what is not there: put texts with * in quotes")
        return anchors[event.anchor]
    value: Value
    if isinstance(event, yaml.ScalarEvent):
        value = None if event.implicit[0] and event.value in NULLS else event.value
    else:
        value = [] if isinstance(event, yaml.SequenceStartEvent) else {}
    if event.anchor:
        anchors[event.anchor] = value
    return value


def _key(event: yaml.NodeEvent, value: Value, name: str) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise UserError(f"{_place(event, name)}: a key that is no text: write 'key: value'")
    return value if isinstance(value, str) else ""


def _put(mapping: dict[str, Value], key: str, value: Value, event: yaml.NodeEvent, name: str) -> None:
    if key in mapping:
        known = mapping[key]
        if not isinstance(value, str | None) or not isinstance(known, str | None) or value != known:
            where = _place(event, name)
            raise UserError(f"{where}: the key {quote(key)} stands there twice with different values: keep one")
    mapping[key] = value


def _place(event: yaml.NodeEvent, name: str) -> str:
    return f"{name}:{event.start_mark.line + 1}"
