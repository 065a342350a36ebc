"""That the reader of messages tells a message of the code from one that only looks like it."""

from __future__ import annotations

import re

import pytest

from tests.messages import Texts, documented_messages, python_texts, script_texts, texts_of_the_code

SOURCE = """
KIND = "container"
def f(kind, name, place):
    raise ValueError(f"{place}: there is no {kind} {name!r} "
                     "to build")
    print("%s is {name} or {other}")
"""
TEMPLATE = """\
echo "job ${JOB} of {{ site }} is done"
echo {{ ("test failed: " ~ command) | quote }} >&2
"""
TEXTS = Texts([*python_texts(SOURCE), *script_texts(TEMPLATE)])


@pytest.mark.parametrize(
    "message",
    [
        "there is no … … to build",
        "…: there is no container … to build",
        "there is no",
        "… is … or …",
        "job … of … is done",
        "test failed: …",
    ],
)
def test_a_message_of_the_code_is_said(message: str) -> None:
    assert TEXTS.say(message)


@pytest.mark.parametrize(
    "message",
    [
        # Other words, also where most of the message is the code's.
        "there is no … … to publish",
        "…: there is no image … to build",
        "job … of … is almost done",
        # Values that no text of the code has, and `…` for words of the code.
        "job build of … is done",
        "there … to build",
        "…: there is … to build",
        "test …: …",
        "…",
        "",
    ],
)
def test_what_only_looks_like_one_is_not(message: str) -> None:
    assert not TEXTS.say(message)


@pytest.mark.parametrize("message", documented_messages())
def test_every_word_of_a_documented_message_counts(message: str) -> None:
    texts = texts_of_the_code()
    for word in re.finditer(r"[A-Za-z]{3,}", message):
        changed = f"{message[: word.start()]}x{word[0]}x{message[word.end() :]}"
        assert not texts.say(changed), changed
