"""Runs PHP statements while it reads them.

Expressions, ``if``, blocks and ``return`` are known. Any other statement ends the reading if PHP
would run it. Declarations of functions are skipped. A call of a declared function ends the reading,
unless it is the one of the Docker image's configuration.
"""

from dataclasses import replace

from wpbridge.site.wpconfig.expressions import Expressions, NotUnderstood
from wpbridge.site.wpconfig.functions import DOCKER, DOCKER_FUNCTION, is_known
from wpbridge.site.wpconfig.scope import FUNCTION, Leave
from wpbridge.site.wpconfig.tokens import tokenize
from wpbridge.site.wpconfig.values import Unknown, Value, truthy

_DOCKER_TOKENS = [(token.kind, token.text) for token in tokenize(DOCKER_FUNCTION)]


class Statements(Expressions):
    """Runs the statements of one source."""

    def run(self, end: int) -> None:
        """Run the statements before the token at ``end``. NotKnown for one that is not known."""
        while self.position < end:
            before = self.scope.state if self.dead else dict(self.scope.state)
            try:
                self._statement()
            except NotUnderstood as problem:
                if not self.dead:
                    # The statement was not understood, so what its beginning did is undone.
                    self.scope.state = before
                    raise self.scope.not_known(problem.line, problem.why) from None
                self.position = end

    def _statement(self) -> None:
        word = self.peek().word
        if word == "{":
            self._block()
        elif word == "if":
            self._if()
        elif word == "return":
            self._return()
        elif word == "function" and self.peek(1).kind == "name":
            self._declare()
        else:
            if word != ";":
                self.expression()
            self.expect(";")

    def _block(self) -> None:
        end = self.source.closing[self.position]
        self.take()
        self.run(end)
        self.position = end + 1

    def _if(self) -> None:
        line = self.take().line
        self.expect("(")
        decided = truthy(self.expression())
        self.expect(")")
        if isinstance(decided, Unknown):
            why = f"it depends on a condition that cannot be decided ({decided.why})"
            decided = replace(decided, file=self.scope.file, line=line, why=why)
        self.choose(decided, self._ways)

    def _ways(self, yes: bool) -> Value:  # noqa: FBT001 - the condition
        self.when(self._statement, live=yes)
        if self.peek().word == "else" and self.peek(1).word == "if":
            self.take()
            self.when(self._if, live=not yes)
        elif self.peek().word == "elseif":
            self.when(self._if, live=not yes)
        elif self.accept("else"):
            self.when(self._statement, live=not yes)
        return None

    def _return(self) -> None:
        self.take()
        if self.peek().word != ";":
            self.expression()
        self.expect(";")
        if not self.dead:
            raise Leave

    def declare_early(self) -> None:
        """Mark what PHP may declare before it runs the first statement of the file as unknown.

        Only the Docker image's function matters, if it is declared outside of all blocks.
        """
        for place, token in enumerate(self.source.tokens):
            named = (token.word, self.source.token(place + 1).word) == ("function", DOCKER)
            inside = (start < place < end for start, end in self.source.closing.items())
            if named and not any(inside):
                doubt = self.scope.unknown(token.line, f"when it declares {DOCKER}() is not known")
                self.scope.state[FUNCTION, DOCKER] = doubt

    def _declare(self) -> None:
        start, name = self.position, self.peek(1)
        if is_known(name.word) or self.peek(2).word != "(":
            raise NotUnderstood(name)
        self.position = self.source.closing[start + 2] + 1
        while self.peek().word not in {"{", ";", ""}:
            self.take()  # the type of what it returns
        if self.peek().word != "{":
            raise NotUnderstood(name)
        self.position = self.source.closing[self.position] + 1
        if name.word == DOCKER and not self.dead:
            tokens = self.source.tokens[start : self.position]
            plain = [(token.kind, token.text) for token in tokens] == _DOCKER_TOKENS
            other = self.scope.unknown(name.line, f"its {DOCKER}() is not the Docker image's")
            self.scope.state[FUNCTION, DOCKER] = plain or other
