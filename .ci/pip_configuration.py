"""Turns what `pip config list` prints into a configuration FILE, and prints the folders and files which that names."""

from __future__ import annotations

import ast
import configparser
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

Settings = dict[str, dict[str, str]]


def settings_of(lines: Iterable[str], environment: Mapping[str, str]) -> Settings:
    """Settings by section. Variables, which come first, win over files; pip wants its proxy in either."""
    found: Settings = {"global": {}}
    if proxy := environment.get("https_proxy") or environment.get("HTTPS_PROXY"):
        found["global"]["proxy"] = proxy
    for line in sorted(lines, key=lambda line: line.startswith(":env:")):
        key, _, value = line.strip().partition("=")
        section, _, name = key.rpartition(".")
        found.setdefault(section.replace(":env:", "global"), {})[name] = ast.literal_eval(value)
    return found


def named_in(settings: Settings) -> Iterator[Path]:
    """What settings name on this machine. The pages of an index lead to files beside its folder."""
    for word in " ".join(value for section in settings.values() for value in section.values()).split():
        path = Path(word.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            yield path.parent if word.startswith("file://") and path.parent != path.parent.parent else path


def main(file: Path) -> None:
    """Read standard input, write the file, print the paths."""
    settings = settings_of(sys.stdin, os.environ)
    written = configparser.RawConfigParser()
    written.read_dict(settings)
    with file.open("w") as stream:
        written.write(stream)
    sys.stdout.writelines(f"{path}\n" for path in dict.fromkeys(named_in(settings)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
