"""The language of `rules:if`, and regular expressions.

Sources: GitLab docs, "CI/CD job rules", and the behaviour of its parser (lib/gitlab/ci/pipeline/expression).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal, NamedTuple

MAX_TOKENS: Final = 100

_Kind = Literal["open", "close", "value", "regexp", "operator", "not"]

_TOKENS: Final[tuple[tuple[_Kind, str], ...]] = (
    ("open", r"\("),
    ("close", r"\)"),
    ("value", r"\$\[\[\s*inputs\.[\w-]+\s*\]\]"),
    ("value", r"\$\w+"),
    ("value", r"\"[^\n]*?\"|'[^\n]*?'"),
    ("regexp", r"/(?:[^/]|\\/)+[^\\]/[ismU]*"),
    ("value", r"null"),
    ("value", r"\b(?:true|false)\b"),
    ("operator", r"=="),
    ("operator", r"=~"),
    ("operator", r"!="),
    ("operator", r"!~"),
    ("operator", r"&&"),
    ("operator", r"\|\|"),
    ("not", r"!"),
)
"""In the order in which they are tried; a text in quotes ends at the next quote, whatever stands before it."""
_LEXER: Final = re.compile("|".join(f"(?P<{kind}{index}>{pattern})" for index, (kind, pattern) in enumerate(_TOKENS)))
_PRECEDENCE: Final = {"!": 1, "==": 10, "!=": 10, "=~": 10, "!~": 10, "&&": 11, "||": 12, ")": 900, "(": 901}

_REGEXP: Final = re.compile(r"/(?P<pattern>.*)/(?P<flags>[ismU]*)")
_OF_RE2: Final = (
    (re.compile(r"\\z"), r"\\Z"),
    (re.compile(r"\\Q.*?(?:\\E|$)"), "x"),
    (re.compile(r"\\[pP](?:\{\^?\w+\}|\w)"), "x"),
    (re.compile(r"\[:\^?[a-z]+:\]"), "a"),
    (re.compile(r"\\[hCKGRX]"), "x"),
    (re.compile(r"\\x\{[0-9a-fA-F]+\}"), "x"),
    (re.compile(r"\(\?<(?=[A-Za-z_])"), "(?P<"),
    (re.compile(r"\(\?-?[imsU]+(?:-[imsU]+)?(?=[:)])"), "(?:"),
    (re.compile(r"\(\?:\)"), ""),
)
"""What RE2 and Ruby understand and Python spells in another way, before a pattern is tried there."""


_TAKEN: Final[dict[_Kind, int]] = {"open": 0, "close": 0, "value": 0, "regexp": 0, "not": 1, "operator": 2}
"""How many values each takes; it always gives one."""


class _Token(NamedTuple):
    kind: _Kind
    text: str


@lru_cache(maxsize=4096)
def expression_error(text: str) -> str:
    """Why GitLab would refuse an expression; empty if it would not."""
    try:
        _build(list(_postfix(list(_tokens(text)))))
    except ValueError as error:
        return str(error)
    return ""


@lru_cache(maxsize=4096)
def regexp_error(text: str) -> str:
    """Why a text between slashes is no regular expression; empty if it is one.

    Differences between engines are not judged, only what none of them understands, for example open brackets.
    """
    match = _REGEXP.fullmatch(text)
    if match is None:
        return "must stand between slashes, as in '/^v[0-9]/'"
    pattern = match["pattern"]
    for of_re2, of_python in _OF_RE2:
        pattern = of_re2.sub(of_python, pattern)
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is no regular expression: {error}"
    return ""


def looks_like_regexp(text: str) -> bool:
    """Whether GitLab would read the text as a regular expression."""
    return _REGEXP.fullmatch(text) is not None


def _tokens(text: str) -> Iterator[_Token]:
    position, count = 0, 0
    while True:
        position += len(text[position:]) - len(text[position:].lstrip())
        if position == len(text):
            return
        match = _LEXER.match(text, position)
        if match is None:
            raise ValueError(f"nothing that belongs in an expression begins at '{text[position : position + 12]}'")
        count += 1
        if count >= MAX_TOKENS:
            raise ValueError(f"has over {MAX_TOKENS - 1} words and signs")
        kind: _Kind = _TOKENS[int(re.sub(r"\D", "", match.lastgroup or ""))][0]
        yield _Token(kind, match[0])
        position = match.end()


def _postfix(tokens: list[_Token]) -> Iterator[_Token]:
    """In the order of evaluation (the shunting-yard algorithm, with the order of precedence that GitLab has)."""
    waiting: list[_Token] = []

    def stronger(than: _Token) -> Iterator[_Token]:
        while waiting and _PRECEDENCE[than.text] >= _PRECEDENCE[waiting[-1].text]:
            yield waiting.pop()

    for token in tokens:
        if token.kind in ("value", "regexp"):
            yield token
        elif token.kind == "operator":
            yield from stronger(token)
            waiting.append(token)
        elif token.kind == "close":
            yield from stronger(token)
            if not waiting:
                raise ValueError("a ')' without a '('")
            waiting.pop()
        else:
            waiting.append(token)
    yield from reversed(waiting)


def _build(postfix: list[_Token]) -> None:
    values = 0
    for token in postfix:
        taken = _TAKEN[token.kind]
        if token.kind == "open":
            raise ValueError("a '(' without a ')'")
        if token.kind == "regexp" and (error := regexp_error(token.text.replace("\\/", "/"))):
            raise ValueError(f"{token.text} {error}")
        if values < taken:
            where = "after it" if taken == 1 else "on both sides"
            raise ValueError(f"'{token.text}' needs a value {where}")
        values += 1 - taken
    if values == 0:
        raise ValueError("the expression is empty")
    if values > 1:
        raise ValueError("two values without '==', '&&' or the like between them")
