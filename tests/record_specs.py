"""Records which spec strings a real Spack accepts.

    spack python tests/record_specs.py tests/data/spack_specs/written.txt tests/data/spack_specs/spack-1.1.json

Judged are the lines of the first file, pieces of them put together at random, and what is left of them when somebody
types badly; the same ones each time. A Spack runs this, so nothing of this project is imported.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

_PIECES = (
    *("hdf5", "zlib", "py-numpy", "builtin.zlib", "*", "a.b.c", "gcc", "mpi"),
    *("@1.2", "@1.2:1.4", "@:2", "@=1.3", "@1,2:3", "@1.4:1.2", "@git.main=1.2", "@git.x/y", "@", "@develop:"),
    *("+a", "~a", "-a", "++b", "~~b", "--b", " + c", " ~c"),
    *(" a=b", " a=b,c", " a==b", " a:=b", " a = b", " a=*", " a=none,b", ' a="b c"', " a='b", " a=true", " a="),
    *(" cflags=-O2", ' cxxflags="-O2 -g"', " target=zen3", " os=debian12", " arch=linux-debian12-zen2"),
    *(" platform=linux", " ^mpich", " ^mpich@3", " ^mpich@4+a", " ^zlib~a", " ^c=gcc", " ^"),
    *(" ^[virtuals=mpi] mpich", " ^[when=+a] zlib", " %gcc", "%gcc@12", " %gcc@13", " %clang", " %%gcc"),
    *(" %c,cxx=gcc", " %[virtuals=c] gcc", " %[when=%c] c=gcc", " %", " /abc", "/abc123", " ^/abc", " ^a.mpich"),
    *(" namespace=x", " ^[deptypes=build] zlib", " ^[deptypes=link] zlib"),
)
_SLIPS = "@+~-=:,^%/[]\"' .*$a1"


def texts(written: list[str], seed: int = 15, count: int = 450) -> list[str]:
    """All that is judged: what was written, `count` slips in it, and as many random texts."""
    chance = random.Random(seed)
    return list(dict.fromkeys([*written, *_slips(written, chance, count), *_random(chance, count)]))


def _slips(written: list[str], chance: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        text = chance.choice(written)
        for _ in range(chance.randint(1, 2)):
            place = chance.randint(0, len(text))
            kind = chance.randrange(4)
            if kind == 0:
                text = text[:place] + chance.choice(_SLIPS) + text[place:]
            elif kind == 1:
                text = text[:place] + text[place + 1 :]
            elif kind == 2:
                text = text[:place] + text[place : place + 2][::-1] + text[place + 2 :]
            else:
                text = text[:place] + chance.choice(_SLIPS) + text[place + 1 :]
        yield text


def _random(chance: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        yield "".join(chance.choice(_PIECES) for _ in range(chance.randint(1, 5)))


def judged(all_texts: list[str]) -> dict[str, str]:
    """For each text nothing, or the first line of why Spack refuses it."""
    from spack.spec import Spec  # type: ignore[import-not-found]

    found = {}
    for text in all_texts:
        try:
            Spec(text)
            found[text] = ""
        except Exception as error:  # noqa: BLE001 - Spack refuses in many ways
            found[text] = f"{type(error).__name__}: {error}".partition("\n")[0]
    return found


def main(arguments: list[str]) -> None:
    """Judge what is written in a file, and what follows from it."""
    written = [line for line in Path(arguments[0]).read_text(encoding="utf-8").split("\n") if line]
    options = [int(one) for one in arguments[2:]]
    verdicts = judged(texts(written, *options))
    Path(arguments[1]).write_text(json.dumps(verdicts, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
