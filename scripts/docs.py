"""The reference of the command line, docs/reference/cli.md, out of the commands' own help.

Nothing in it depends on a terminal, its width or click's way to set out a page. Options that many
commands have alike are told once.
"""

import inspect
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

import alert_rules
import catalogue
from wpbridge.cli.filters import change_options, filter_options
from wpbridge.cli.main import cli
from wpbridge.cli.options import php_options, site_options

FILE = Path(__file__).parent.parent / "docs" / "reference" / "cli.md"
HEAD = """# Commands

Look up here every command, with its options and examples. `scripts/docs` makes this page of what \
`--help` says, so change the help and not the page.

`wpbridge COMMAND [OPTIONS]`; site options may also stand before the command's name. What is \
printed as JSON is in [json](json.md), exit codes and what settings files hold in \
[settings](settings.md), the plugin's own functions and commands beside these in \
[plugin forms](plugin-forms.md).
"""
MOST_SHOWN = 100_000_000
"""An upper bound above it is none that anybody meets."""


def reference() -> str:
    """The whole page."""
    parts = [HEAD, "\n".join(_contents())]
    parts += [text for title, about, add in COMMON for text in _common(title, about, add)]
    for title, names in sections().items():
        parts.append(f"## {title}")
        parts += [_command(path, command) for path, command in commands() if path[0] in names]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its path, those of groups too, in the order of the help."""
    yield from _below(cli, ())


def _below(
    group: click.Group, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _below(command, (*path, name))
        else:
            yield (*path, name), command


def sections() -> dict[str, list[str]]:
    """Titles and commands as `wpbridge --help` sets them out."""
    outline = _Outline()
    cli.format_commands(click.Context(cli), outline)
    return outline.found


def examples(command: click.Command) -> list[str]:
    """The command lines that a command's help ends in."""
    lines = inspect.cleandoc((command.epilog or "").removeprefix("\b\n")).splitlines()
    told = [line.partition(":")[2] if line.startswith("Example") else line for line in lines]
    return [line.strip() for line in told if line.strip()]


def unknown_words(line: str) -> list[str]:
    """What a command line names that is not there: the command, or options of it."""
    words = shlex.split(line)[1:]
    found = next(((p, c) for p, c in commands() if tuple(words[: len(p)]) == p), None)
    if found is None:
        return [] if words[0] in {"--version", "--help", "COMMAND"} else [line]
    known = {word for one in found[1].params for word in (*one.opts, *one.secondary_opts)}
    given = [word.partition("=")[0] for word in words if re.match(r"-[^\d]", word)]
    return [word for word in given if word not in {*known, "--help", "-h"}]


class _Outline(click.HelpFormatter):
    """Listens to how commands are listed."""

    def __init__(self) -> None:
        super().__init__(width=80)
        self.found: dict[str, list[str]] = {}

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """A title, and what is listed below it."""
        self.found[name] = []
        yield

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """The commands below the last title."""
        del col_max, col_spacing
        self.found[list(self.found)[-1]] += [name for name, _ in rows]


# Options that many commands have alike

Adder = Callable[[Callable[..., Any]], Callable[..., Any]]
COMMON: tuple[tuple[str, str, Adder], ...] = (
    (
        "Site options",
        "Which queue. Without any: the WordPress around the working folder.",
        site_options,
    ),
    ("PHP options", "Whether and how PHP is started.", php_options),
    (
        "Filters",
        "Which actions. Those given must all fit; of one given several times, any.",
        filter_options,
    ),
    ("Options of changes", "Of what changes several actions.", change_options),
)


def _common(title: str, about: str, add: Adder) -> list[str]:
    return [f"## {title}", about, _table(_options_of(add))]


def _options_of(add: Adder) -> list[click.Option]:
    made = click.command()(add(lambda **_: None))
    return [one for one in made.params if isinstance(one, click.Option)]


def _key(option: click.Option) -> tuple[object, ...]:
    return tuple(option.opts), tuple(option.secondary_opts), option.help


# One page's parts


def _contents() -> Iterator[str]:
    for title, names in sections().items():
        paths = [path for path, _ in commands() if path[0] in names]
        links = [f"[{' '.join(path)}](#{'-'.join(path)})" for path in paths]
        yield f"- {title}: {', '.join(links)}"


def _command(path: tuple[str, ...], command: click.Command) -> str:
    context = click.Context(command, info_name=" ".join(("wpbridge", *path)))
    own = [one for one in command.params if isinstance(one, click.Option)]
    links = []
    for title, _, add in COMMON:
        alike = {_key(one) for one in _options_of(add)}
        if alike <= {_key(one) for one in own}:
            own = [one for one in own if _key(one) not in alike]
            links.append(f"[{title.lower()}](#{title.lower().replace(' ', '-')})")
    usage = f"`{context.command_path} {' '.join(command.collect_usage_pieces(context))}`"
    shown = "\n".join(examples(command))
    return "\n\n".join(
        [
            f"### {' '.join(path)}",
            usage,
            *_paragraphs(command.help or ""),
            *([_table(own)] if own else []),
            *([f"And the {_and(links)}."] if links else []),
            f"```sh\n{shown}\n```",
        ]
    )


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n")]


def _table(options: Sequence[click.Option]) -> str:
    rows = [f"| {_names(one)} | {_cell(one.help or '')} |" for one in options]
    return "\n".join(["| option | |", "| --- | --- |", *rows])


def _names(option: click.Option) -> str:
    words = [*option.opts, *option.secondary_opts]
    value = _value(option)
    return f"`{_cell(', '.join(words))}{f' {_cell(value)}' if value else ''}`"


def _value(option: click.Option) -> str:
    """What stands behind the option's name."""
    kind = option.type
    if option.is_flag or option.count:
        return ""
    if option.metavar:
        return option.metavar
    if isinstance(kind, click.Choice):
        return "|".join(map(str, kind.choices))
    if isinstance(kind, click.IntRange) and kind.max is not None and kind.max < MOST_SHOWN:
        return f"{kind.min}-{kind.max}"
    return "N" if isinstance(kind, click.types.IntParamType) else kind.name.upper()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


if __name__ == "__main__":
    FILE.write_text(reference(), "utf-8")
    alert_rules.FILE.write_text(alert_rules.text(), "utf-8")
    catalogue.FILE.parent.mkdir(exist_ok=True)
    catalogue.FILE.write_text(catalogue.text(), "utf-8")
