"""Help of the scripts: made from the dataclasses of flags, in groups, 80 columns wide."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import itertools
import re
import textwrap
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

WIDTH = 80
_LEFT = 26
# Flags of the same name mean the same in every script. What is not named here is basic.
_GROUPS = {
    "similarity": (
        "similarity_weight", "temperature", "projection", "view_side", "views", "neighbours", "neighbours_from",
        "noise", "noise_share", "look",
    ),
    "speed": (
        "batch_size", "learning_rate", "optimizer", "precision", "encoder_precision", "pictures_every", "max_seconds",
        "max_weights", "patience", "mark",
    ),
    "network of --architecture custom": ("network",),
    "cluster": ("spark", "parallel", "devices", "store", "collection"),
}  # fmt: skip


class Flag(NamedTuple):
    """A flag of a script.

    Args:
        name: Name of the field, such as "batch_size", or "network.filters".
        group: Title of the group in the help.
        words: Flag and value as they are typed, such as "--batch-size N".
        text: Sentences on its effect.
        default: Default value in the help; empty where the text names it, or there is none.
    """

    name: str
    group: str
    words: str
    text: str
    default: str

    def line(self) -> str:
        """Format the first sentence and the default."""
        sentences = re.split(r"(?<=[.])\s+", self.text)
        told = [sentences[0], *(sentence for sentence in sentences[1:] if sentence.startswith("Default:"))]
        return self._laid_out(" ".join(told))

    def paragraph(self) -> str:
        """Format the whole text and the default."""
        return self._laid_out(self.text)

    def _laid_out(self, text: str) -> str:
        text += f" [{self.default}]" if self.default else ""
        lines = textwrap.wrap(text, WIDTH - _LEFT, break_on_hyphens=False)
        head = f"  {self.words}"
        if len(head) >= _LEFT:
            return "\n".join([head, *(" " * _LEFT + line for line in lines)])
        return "\n".join([f"{head:{_LEFT}}{lines[0]}", *(" " * _LEFT + line for line in lines[1:])])


def flags(config_type: type[Any]) -> list[Flag]:
    """List the flags that a dataclass stands for, nested ones included."""
    return list(_flags(config_type, "", ""))


def text(script: str, description: str, config_type: type[Any], *, whole: bool) -> str:
    """Return the help of a script.

    Args:
        script: Name of the script, such as "SanityChecks.py".
        description: Docstring of the script: paragraphs are wrapped, indented lines kept as they are.
        config_type: Dataclass of its flags.
        whole: Describe each flag in full, in place of one line for a basic flag and the names of the others.
    """
    by_group: dict[str, list[Flag]] = {"flags": []}
    for flag in flags(config_type):
        by_group.setdefault(flag.group, []).append(flag)
    parts = [f"usage: python {script} [flags]".replace("python python", "python"), _wrapped(description)]
    for group, members in by_group.items():
        if whole or group == "flags":
            shown = [flag.paragraph() if whole else flag.line() for flag in members]
            parts.append("\n".join([f"{group}:", *shown]))
    more = {group: members for group, members in by_group.items() if group != "flags" and members}
    if not whole:
        names = [f"{group}: {', '.join(flag.words.split()[0].rstrip(',') for flag in m)}" for group, m in more.items()]
        wrapped = [textwrap.fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False) for line in names]
        parts.append("\n".join([*wrapped, "--help-all shows all flags in full; --version shows the version."]))
    return "\n\n".join(parts)


def refusal(words: Sequence[str], config_type: type[Any]) -> str | None:
    """Say what is wrong with the words of a command line, and what was expected; None if nothing is found.

    Args:
        words: Those behind the name of the script, as they were typed.
        config_type: Dataclass of its flags.
    """
    forms = {form: flag.words for flag in flags(config_type) for form in re.findall(r"--[\w.-]+", flag.words)}
    position, given = 0, set[str]()
    while position < len(words):
        typed, equals, value = words[position].partition("=")
        form, position = typed.replace("_", "-"), position + 1
        if not form.startswith("--"):
            return f"{typed}: expected a flag before it, such as {next(iter(forms.values()))}."
        if form not in forms:
            near = difflib.get_close_matches(form, forms, n=1)
            return f"there is no flag {typed}." + (f" Did you mean {near[0]}?" if near else "")
        kinds = _kinds(forms[form])
        values = [value]
        if not equals:
            values = list(itertools.takewhile(lambda word: not word.startswith("--"), words[position:]))
            values = values if forms[form].endswith(" ...") else values[:1]
            position += len(values)
        wrong = next((one for one in values if not _fits(one, kinds)), None)
        if wrong is not None and kinds == _SWITCH:
            return f"{typed} {wrong}: expected {forms[form].replace(',', ' or')} alone."
        if wrong is not None:
            return f"{typed} {wrong}: expected {' or '.join(_VALUES.get(kind, kind) for kind in kinds)}."
        if not values and kinds != _SWITCH and not forms[form].endswith(" ..."):
            return f"{typed}: its value is missing; expected {forms[form]}."
        given.add(form)
    missing = [forms[form] for form in _required(config_type) if form not in given]
    return f"missing: {', '.join(missing)}." if missing else None


def _required(config_type: type[Any]) -> list[str]:
    fields = dataclasses.fields(config_type)
    none = dataclasses.MISSING
    return ["--" + field.name.replace("_", "-") for field in fields if field.default is field.default_factory is none]


_SWITCH = ("True", "False")
_VALUES = {"N": "a whole number", "X": "a number"}


def _kinds(words: str) -> tuple[str, ...]:
    """Return what may follow a flag, of its form in the help."""
    _, _, value = words.partition(" ")
    return _SWITCH if not value or value.startswith("--") else tuple(value.removesuffix(" ...").split("|"))


def _fits(value: str, kinds: Sequence[str]) -> bool:
    """Tell whether a word is a value of one of these kinds."""
    as_number = {"N": int, "X": float}
    for kind in kinds:
        try:
            if (
                value == "None"
                or kind in ("NAME", "PATH", value)
                or (kind in as_number and as_number[kind](value) is not None)
            ):
                return True
        except ValueError:
            pass
    return False


def _flags(config_type: type[Any], prefix: str, group: str) -> Iterator[Flag]:
    hints, texts = typing.get_type_hints(config_type), _texts(config_type)
    for field in dataclasses.fields(config_type):
        name, hint = prefix + field.name, hints[field.name]
        own = group or next((title for title, names in _GROUPS.items() if field.name in names), "flags")
        if dataclasses.is_dataclass(hint):
            yield from _flags(typing.cast("type[Any]", hint), f"{name}.", own)
        else:
            yield Flag(name, own, _words(name, hint, field.default), texts[field.name], _default(field.default))


def _texts(config_type: type[Any]) -> dict[str, str]:
    """Collect the string under each field of a dataclass, by name."""
    body = typing.cast("ast.ClassDef", ast.parse(textwrap.dedent(inspect.getsource(config_type))).body[0]).body
    found = {}
    for field, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = ast.literal_eval(after.value) if isinstance(after, ast.Expr) else ""
            found[field.target.id] = " ".join(text.split())
    return found


def is_switch(hint: Any) -> bool:
    """Tell whether a flag of this type is typed --name or --no-name."""
    return hint is bool or set(typing.get_args(hint)) == {bool, types.NoneType}


def _words(name: str, hint: Any, default: Any) -> str:
    flag = "--" + name.replace("_", "-")
    if is_switch(hint):
        head, _, last = flag[2:].rpartition(".")
        negative = f"--{head}.no-{last}" if head else f"--no-{last}"
        return flag if default is False else f"{flag}, {negative}"
    many = " ..." if typing.get_origin(hint) is tuple else ""
    return f"{flag} {_kind(hint)}{many}"


def _kind(hint: Any) -> str:
    options = [option for option in typing.get_args(hint) if option not in (types.NoneType, Ellipsis)]
    if typing.get_origin(hint) is typing.Literal:
        return "|".join(map(str, options))
    if options:
        return "|".join(map(_kind, options))
    return {int: "N", float: "X", str: "NAME", Path: "PATH"}.get(hint) or str(hint.__name__)


def _default(default: Any) -> str:
    if default is dataclasses.MISSING:
        return ""
    if (default in (None, (), False) and type(default) in (type(None), tuple, bool)) or isinstance(default, Path):
        return ""
    if isinstance(default, tuple):
        return " ".join(map(str, default))
    return "on" if default is True else str(default)


def _wrapped(description: str) -> str:
    lines: list[str] = []
    for block in re.split(r"\n\s*\n", description.strip()):
        keep = any(line.startswith(" ") for line in block.splitlines())
        lines.append(block if keep else textwrap.fill(" ".join(block.split()), WIDTH))
    return "\n\n".join(lines)
