"""``wp-config.php``, found and read without running PHP.

The statements a WordPress configuration is written in are followed as PHP would follow them, up
to ``wp-settings.php``; functions, classes and whatever else does not matter is stepped over.
A value that cannot be told is an error only when it is asked for.
"""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

from wpbridge.errors import SiteError
from wpbridge.phpliteral import (
    Exit,
    Expression,
    Leave,
    NotUnderstood,
    Parser,
    PhpSyntaxError,
    Scope,
    Stop,
    Token,
    Unknown,
    Value,
    from_bytes,
    to_number,
    to_text,
    tokenize,
    truthy,
)

TABLE_PREFIX: Final = "$table_prefix"
NAMES: Final = (
    *("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "DB_CHARSET", "DB_COLLATE"),
    *("MYSQL_CLIENT_FLAGS", "DB_ENGINE", "DB_DIR", "DB_FILE", "FQDBDIR", "FQDB"),
    *("DATABASE_ENGINE", "USE_MYSQL"),
    *("WP_CONTENT_DIR", "WPMU_PLUGIN_DIR"),
    *("MULTISITE", "SUBDOMAIN_INSTALL", "DOMAIN_CURRENT_SITE", "PATH_CURRENT_SITE"),
    *("BLOG_ID_CURRENT_SITE", TABLE_PREFIX),
)
"""All that is taken from a configuration: constants, and the one variable."""
WAYS_OUT: Final = "give the database with --dsn, or have PHP asked with --ask-php"

_MAX_BYTES: Final = 1_000_000
_MAX_DEPTH: Final = 12
_CONSTANTS: Final[Mapping[str, Value]] = {
    "DIRECTORY_SEPARATOR": "/",
    "FILTER_VALIDATE_BOOL": 258,
    "FILTER_VALIDATE_BOOLEAN": 258,
    "MYSQLI_CLIENT_COMPRESS": 32,
    "MYSQLI_CLIENT_FOUND_ROWS": 2,
    "MYSQLI_CLIENT_IGNORE_SPACE": 256,
    "MYSQLI_CLIENT_INTERACTIVE": 1024,
    "MYSQLI_CLIENT_SSL": 2048,
    "MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT": 64,
    "MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT": 1 << 30,
    "MYSQL_CLIENT_COMPRESS": 32,
    "MYSQL_CLIENT_SSL": 2048,
    "PHP_EOL": "\n",
    "PHP_INT_MAX": (1 << 63) - 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WpConfig:
    """What a site's configuration says; asking for what it does not say is a SiteError."""

    file: Path
    abspath: Path
    """WordPress's own folder, which ``ABSPATH`` names."""
    values: Mapping[str, Value] = field(repr=False)
    """Some of NAMES; Unknown where only PHP could tell."""
    doubt: Unknown | None = None
    """The first thing not understood that may set any of NAMES."""

    @property
    def db_name(self) -> str:
        """Never empty."""
        name = self._required("DB_NAME")
        if not name:
            missing = "is an environment variable missing here?"
            raise SiteError(f"DB_NAME is empty in {self.file} ({missing}); {WAYS_OUT}")
        return name

    @property
    def db_user(self) -> str:
        """The account."""
        return self._required("DB_USER")

    @property
    def db_password(self) -> str:
        """A secret; bytes that are not UTF-8 are surrogates."""
        return self._required("DB_PASSWORD")

    @property
    def db_host(self) -> str:
        """As written: host, port and socket in one text."""
        return self._required("DB_HOST")

    @property
    def client_flags(self) -> int:
        """``MYSQL_CLIENT_FLAGS``, 0 when not set."""
        return self.number("MYSQL_CLIENT_FLAGS") or 0

    @property
    def table_prefix(self) -> str | None:
        """``$table_prefix``; None when not set."""
        return self._required(TABLE_PREFIX) if self.doubt else self.text(TABLE_PREFIX)

    @property
    def content_dir(self) -> Path:
        """``WP_CONTENT_DIR``, or the folder where WordPress has it by itself."""
        return Path(self.text("WP_CONTENT_DIR") or self.abspath / "wp-content")

    @property
    def mu_plugins_dir(self) -> Path:
        """``WPMU_PLUGIN_DIR``, or the folder where WordPress has it by itself."""
        return self.abspath / (self.text("WPMU_PLUGIN_DIR") or self.content_dir / "mu-plugins")

    @property
    def is_multisite(self) -> bool:
        """Whether more blogs share the tables' database."""
        # SUBDOMAIN_INSTALL alone also makes a network, as is_multisite() has it.
        return self.flag("MULTISITE") or self.text("SUBDOMAIN_INSTALL") is not None

    def text(self, name: str) -> str | None:
        """The value of one of NAMES; None when it is not set."""
        value = to_text(self._value(name))
        return value if name in self.values and isinstance(value, str) else None

    def number(self, name: str) -> int | None:
        """The same as a whole number."""
        value = to_number(self._value(name))
        return int(value) if name in self.values and not isinstance(value, Unknown) else None

    def flag(self, name: str) -> bool:
        """The same as a condition; False when it is not set."""
        return truthy(self._value(name)) is True

    def _value(self, name: str) -> Value:
        value = self.values.get(name)
        if isinstance(value, Unknown):
            raise _cannot_be_read(name, value)
        return value

    def _required(self, name: str) -> str:
        value = self.text(name)
        if value is None and self.doubt:
            raise _cannot_be_read(name, self.doubt)
        if value is None:
            raise SiteError(f"{self.file} does not set {name}; {WAYS_OUT}")
        return value


def _cannot_be_read(name: str, value: Unknown) -> SiteError:
    place = f"{value.file} line {value.line}"
    return SiteError(f"{name} cannot be read from {place}: {value.why}; {WAYS_OUT}")


def find(path: Path) -> tuple[Path, Path]:
    """The ``wp-config.php`` of a WordPress folder (or the file itself), and ABSPATH's folder.

    As WordPress looks for it: in the folder, else one above if that is no WordPress of its own.
    SiteError when there is none.
    """
    if path.is_file():
        return path.resolve(), _abspath(path.parent.resolve())
    if not path.is_dir():
        raise SiteError(f"{path} does not exist; --path names the folder of a WordPress")
    folder = path.resolve()
    if (folder / "wp-config.php").is_file():
        return (folder / "wp-config.php").resolve(), _abspath(folder)
    above = folder.parent
    if (above / "wp-config.php").is_file() and not (above / "wp-settings.php").is_file():
        return (above / "wp-config.php").resolve(), _abspath(folder)
    raise SiteError(f"{path} has no wp-config.php: is it the root of a WordPress?")


def _abspath(folder: Path) -> Path:
    """The folder of ``wp-settings.php``: this one, or the only one below that has it."""
    if (folder / "wp-settings.php").is_file():
        return folder
    below = [settings.parent for settings in folder.glob("*/wp-settings.php")]
    return below[0] if len(below) == 1 else folder


def read(path: Path, env: Mapping[str, str] | None = None) -> WpConfig:
    """Find and read a configuration as it would be under the environment ``env``.

    SiteError when it is not there, not readable or not PHP; values that cannot be told are errors
    of :class:`WpConfig` when they are asked for.
    """
    file, abspath = find(path)
    constants = {**_CONSTANTS, "ABSPATH": f"{abspath}/"}
    scope = Scope(os.environ if env is None else env, constants)
    try:
        _Files(file.parent).begin(scope, file)
    except OSError as error:
        raise SiteError(f"{file} cannot be read: {error.strerror}") from error
    except PhpSyntaxError as error:
        problem = f"{file} is not valid PHP near line {error.line}: {error}"
        raise SiteError(f"{problem}; repair it or {WAYS_OUT}") from None
    except RecursionError:
        raise SiteError(f"{file} is nested too deeply to be read; {WAYS_OUT}") from None
    return WpConfig(file=file, abspath=abspath, values=_found(scope), doubt=scope.doubt)


def _found(scope: Scope) -> dict[str, Value]:
    known: dict[str, Value] = {n: hint for n, hint in scope.hints.items() if n in NAMES}
    known |= {name: value for name, value in scope.constants.items() if name in NAMES}
    if "table_prefix" in scope.variables:
        known[TABLE_PREFIX] = scope.variables["table_prefix"]
    return known


class _Files:
    """The files of one configuration: which were read, and where their names are looked up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: set[Path] = set()
        self.depth = 0

    def begin(self, scope: Scope, file: Path) -> None:
        scope.include = lambda how, name: self.include(scope, how, name)
        scope.evaluate = lambda source: self.evaluate(scope, source)
        self.seen.add(file)
        with contextlib.suppress(Stop, Exit):
            self._run(scope, _source(file), str(file))

    def include(self, scope: Scope, how: str, name: str) -> Value:
        """As PHP's statement of that name; what cannot be followed leaves a doubt."""
        if Path(name).name == "wp-settings.php":
            raise Stop
        places = [self.folder / name, Path(scope.file).parent / name]
        file = next((place.resolve() for place in places if _is_file(place)), None)
        if file is None:
            return False if how.startswith("include") else _doubt(scope, f"{name} is not there")
        if how.endswith("_once") and file in self.seen:
            return True
        self.seen.add(file)
        if self.depth >= _MAX_DEPTH:
            return _doubt(scope, f"{name} is included too deeply")
        self.depth += 1
        try:
            return self._run(scope, _source(file), str(file))
        except (OSError, PhpSyntaxError):
            return _doubt(scope, f"{name} cannot be read")
        finally:
            self.depth -= 1

    def evaluate(self, scope: Scope, source: str) -> Value:
        """As ``eval()``."""
        try:
            return self._run(scope, f"<?php {source}", scope.file)
        except PhpSyntaxError:
            return _doubt(scope, "it runs eval() on a text that is not PHP")

    def _run(self, scope: Scope, source: str, file: str) -> Value:
        including, scope.file = scope.file, file
        try:
            _run(scope, _Statements(tokenize(source)).until_end())
        except Leave as leave:
            return leave.value
        finally:
            scope.file = including
        return 1


def _source(file: Path) -> str:
    if file.stat().st_size > _MAX_BYTES:
        raise PhpSyntaxError("it is too large for a configuration", 1)
    source = from_bytes(file.read_bytes())
    if "<?" not in source:
        raise PhpSyntaxError("it has no <?php", 1)
    return source


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _doubt(scope: Scope, why: str) -> Unknown:
    scope.doubt = scope.doubt or scope.unknown(scope.line, why, maybe=True)
    return scope.doubt


# Statements.

Statement: TypeAlias = Callable[[Scope], object]
Branch: TypeAlias = "tuple[int, Expression | None, list[Statement]]"

_CLOSING: Final = {"(": ")", "[": "]", "{": "}", "#[": "]"}
_DECLARES: Final = {
    *("function", "class", "interface", "trait", "enum", "abstract", "final", "readonly"),
}
_HARMLESS: Final = {"namespace", "use", "global", "echo", "print", "declare", "break", "continue"}
_LOOPS: Final = {"while", "for", "switch"}


def _run(scope: Scope, statements: Sequence[Statement]) -> Value:
    for statement in statements:
        statement(scope)
    return None


def _tentatively(line: int, why: str, statements: Sequence[Statement]) -> Statement:
    """Run what may or may not be run: whatever it sets is unknown afterwards."""

    def run(scope: Scope) -> None:
        before = scope.tentative
        scope.tentative = before or scope.unknown(line, why, maybe=True)
        try:
            _run(scope, statements)
        except Exit:
            pass
        except (Leave, Stop):
            return
        scope.tentative = before

    return run


class _Statements(Parser):
    """Tokens to statements. PhpSyntaxError only where brackets do not match."""

    def until_end(self) -> list[Statement]:
        """All that is left."""
        statements = []
        while self.position < len(self.tokens):
            statements.append(self.statement())
        return statements

    def until(self, *words: str) -> list[Statement]:
        """All before one of these words, which is left to be taken."""
        line, statements = self.peek().line, []
        while self.peek().word not in words:
            if self.position >= len(self.tokens):
                raise PhpSyntaxError(f"the text ends before the {words[-1]} of this block", line)
            if self.accept("case", "default"):
                self._skip_to(":", ";")
                self.take()
            else:
                statements.append(self.statement())
        return statements

    def statement(self) -> Statement:
        """One statement; what is not understood becomes one that spreads doubt."""
        start, word = self.position, self.peek().word
        if word == "}":
            raise PhpSyntaxError("there is a } too many", self.peek().line)
        try:
            known = self._known(word)
        except NotUnderstood:
            self.position = start
            return _opaque(self._skip_to(";"))
        return known

    def _known(self, word: str) -> Statement:
        if word in _LOOPS:
            return self._loop()
        if word in _DECLARES and self.peek(1).word not in {"(", "::"}:
            return self._declaration()
        kinds: dict[str, Callable[[], Statement]] = {
            "{": self._block,
            "if": self._if,
            "foreach": self._foreach,
            "do": self._do,
            "try": self._try,
            "return": self._return,
            "const": self._const,
            "#[": self._attributed,
            "__halt_compiler": self._halt,
            **dict.fromkeys((*_HARMLESS, ";"), self._harmless),
        }
        return kinds.get(word, self._expression_statement)()

    def _harmless(self) -> Statement:
        tokens = self._skip_to(";", "{")
        self.accept(";")
        return _opaque(tokens) if _defines(tokens) else lambda _scope: None

    def _attributed(self) -> Statement:
        self._skip_balanced()
        return self.statement()

    def _halt(self) -> Statement:
        self.position = len(self.tokens)
        return lambda _scope: None

    def _expression_statement(self) -> Statement:
        line, expression = self.peek().line, self.expression()
        self._end()

        def run(scope: Scope) -> None:
            scope.line = line
            expression(scope)

        return run

    def _end(self) -> None:
        if not self.accept(";") and self.position < len(self.tokens):
            raise NotUnderstood

    def _block(self) -> Statement:
        self.expect("{")
        body = self.until("}")
        self.take()
        return lambda scope: _run(scope, body)

    def _body(self, *ends: str) -> list[Statement]:
        """A statement, or after ``:`` all up to one of the ends, which is left to be taken."""
        return self.until(*ends) if self.accept(":") else [self.statement()]

    def _condition(self) -> Expression:
        start, line = self.position, self.peek().line
        try:
            self.expect("(")
            condition = self.expression()
            self.expect(")")
        except NotUnderstood:
            self.position = start
            self._skip_balanced()
            return lambda scope: scope.unknown(line, "its condition is not understood")
        return condition

    def _if(self) -> Statement:
        branches: list[Branch] = []
        line, condition = self.take().line, self._condition()
        while True:
            alternative = self.peek().word == ":"
            body = self._body("elseif", "else", "endif")
            branches.append((line, condition, body))
            line = self.peek().line
            if self.accept("elseif") or (self.peek(1).word == "if" and self.accept("else")):
                self.accept("if")
                condition = self._condition()
                continue
            if self.accept("else"):
                branches.append((line, None, self._body("endif")))
            if alternative:
                self.expect("endif")
                self._end()
            return lambda scope: _choose(scope, branches)

    def _foreach(self) -> Statement:
        line, start = self.take().line, self.position
        try:
            source, names = self._foreach_header()
        except NotUnderstood:
            self.position = start
            self._skip_balanced()
            source, names = (lambda scope: scope.unknown(line, "it loops")), []
        first = self.position
        body = self._loop_body("endforeach")
        jumps = any(t.word in {"break", "continue"} for t in self.tokens[first : self.position])
        maybe = _tentatively(line, "it is set in a loop", body)

        def loop(scope: Scope) -> None:
            array = source(scope)
            if jumps or not isinstance(array, dict):
                for name in names:
                    scope.assign(name, [], scope.unknown(line, "it is set by a loop"))
                maybe(scope)
                return
            for key, value in array.items():
                for name, part in zip(reversed(names), (value, key), strict=False):
                    scope.assign(name, [], part)
                _run(scope, body)

        return loop

    def _foreach_header(self) -> tuple[Expression, list[str]]:
        self.expect("(")
        source = self.expression()
        self.expect("as")
        names = [self.take()]
        if self.accept("=>"):
            names.append(self.take())
        self.expect(")")
        if any(token.kind != "variable" for token in names):
            raise NotUnderstood
        return source, [token.text for token in names]

    def _loop(self) -> Statement:
        loop = self.take()
        self._skip_balanced()
        body = self._loop_body(f"end{loop.word}")
        return _tentatively(loop.line, f"it is set in a {loop.word}", body)

    def _loop_body(self, end: str) -> list[Statement]:
        alternative = self.peek().word == ":"
        body = self._body(end)
        if alternative:
            self.take()
            self._end()
        return body

    def _do(self) -> Statement:
        line, body = self.take().line, [self.statement()]
        self._skip_to(";")
        return _tentatively(line, "it is set in a loop", body)

    def _try(self) -> Statement:
        line, steps = self.take().line, [self._block()]
        while self.accept("catch"):
            self._skip_balanced()
            steps.append(_tentatively(line, "it is set where an error is caught", [self._block()]))
        if self.accept("finally"):
            steps.append(self._block())
        return lambda scope: _run(scope, steps)

    def _return(self) -> Statement:
        self.take()
        more = self.position < len(self.tokens) and self.peek().word != ";"
        value = self.expression() if more else lambda _scope: None
        self._end()

        def leave(scope: Scope) -> None:
            raise Leave(value(scope))

        return leave

    def _const(self) -> Statement:
        self.take()
        pairs: list[tuple[str, Expression]] = []
        while not pairs or self.accept(","):
            name = self.take().text
            self.expect("=")
            pairs.append((name, self.expression()))
        self._end()
        return lambda scope: [scope.define(name, value(scope)) for name, value in pairs]

    def _declaration(self) -> Statement:
        start = self.position
        self._skip_to("{")
        self._skip_balanced()
        tokens = self.tokens[start : self.position]

        def declare(scope: Scope) -> None:
            for name, line in _defines(tokens):
                why = "it is set inside a function or class"
                scope.hints.setdefault(name, scope.unknown(line, why, maybe=True))

        return declare

    def _skip_balanced(self) -> None:
        opening = self.take()
        wanted = [_CLOSING.get(opening.word, ")")]
        while wanted:
            if self.position >= len(self.tokens):
                problem = f"the text ends inside the {opening.text} of this line"
                raise PhpSyntaxError(problem, opening.line)
            word = self.take().word
            if word in _CLOSING:
                wanted.append(_CLOSING[word])
            elif word == wanted[-1]:
                wanted.pop()

    def _skip_to(self, *ends: str) -> Sequence[Token]:
        """Step to one of these words outside brackets (over a ``;``), or before a stray ``}``."""
        start = self.position
        while self.position < len(self.tokens):
            word = self.peek().word
            if word in ends or word == "}":
                break
            if word in _CLOSING:
                self._skip_balanced()
            else:
                self.take()
        tokens = self.tokens[start : self.position]
        if ends == (";",):
            self.accept(";")
        return tokens


def _choose(scope: Scope, branches: Sequence[Branch]) -> Value:
    if not branches:
        return None
    (line, condition, body), rest = branches[0], branches[1:]
    scope.line = line
    decided = True if condition is None else truthy(condition(scope))
    if isinstance(decided, Unknown):
        why = f"it depends on a condition that cannot be decided ({decided.why})"
        doubt = replace(decided, file=scope.file, line=line, why=why)
        scope.either(doubt, [lambda: _run(scope, body), lambda: _choose(scope, rest)])
    elif decided:
        _run(scope, body)
    else:
        _choose(scope, rest)
    return None


def _opaque(tokens: Sequence[Token]) -> Statement:
    """A statement that is not understood: all it may set is unknown after it."""
    line = tokens[0].line if tokens else 0
    words = {token.word for token in tokens}
    variables = {token.text for token in tokens if token.kind == "variable"}
    includes = words & {"include", "include_once", "require", "require_once", "eval"}
    settings = any(token.text.endswith("wp-settings.php") for token in tokens)

    def run(scope: Scope) -> None:
        if includes and settings:
            raise Stop
        unknown = scope.unknown(line, "the statement is not understood")
        for name, at in _defines(tokens):
            scope.define(name, replace(unknown, line=at))
        for name in variables:
            if not (name == "GLOBALS" or name.startswith("_")):
                scope.assign(name, [], unknown)
        if includes:
            scope.doubt = scope.doubt or replace(unknown, maybe=True)
        if any("dotenv" in word for word in words):
            scope.env_doubt = scope.env_doubt or unknown

    return run


def _defines(tokens: Sequence[Token]) -> list[tuple[str, int]]:
    """Names in ``define('NAME'``, with their lines."""
    triples = zip(tokens, tokens[1:], tokens[2:], strict=False)
    return [
        (name.text, name.line)
        for define, bracket, name in triples
        if define.word == "define" and bracket.word == "(" and name.kind == "string"
    ]
