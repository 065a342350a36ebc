"""What predicting splices takes: 300 binaries with 30 replacements each, in a folder; first and second run.

    python -m benchmarks.caches.splices [BINARIES REPLACEMENTS]

The files of the made-up binaries have a few hundred symbols each. Prints seconds of the clock and of the processor.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from job_creator.__main__ import main as jc
from tests.elf_files import elf_file
from tests.packed_cache import Package, fill, put

_SYMBOLS = 400
_USED = 60
_LIBRARIES = 3


def main() -> None:
    """Measure, and print."""
    binaries, replacements = (int(word) for word in sys.argv[1:]) if sys.argv[1:] else (300, 30)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        cache = _cache(root, binaries, replacements)
        asked = ["--mirror", str(cache), "--of", "app", "--with", "lib", "-d", str(root / "kept"), "--symbols-only"]
        first = _timed("first run", lambda: _run("predict", *asked))
        second = _timed("second run", lambda: _run("predict", *asked))
        print(f"the second takes {second / first:.1%} of the first")
        (root / "kept" / "predictions.jsonl").unlink()
        pairs = len(_run("plan", *asked[:-3])["splices"])
        again = _timed("predictions from kept facts", lambda: _run("predict", *asked))
        print(f"{pairs:,} pairs; {again / pairs * 10_000:.1f} s for 10,000 pairs")
        _timed("report", lambda: _report(root))


def _cache(root: Path, binaries: int, replacements: int) -> Path:
    names = [f"function_{number}" for number in range(_SYMBOLS)]
    bases = [Package(f"base{number}", "1.0", root=root / "built") for number in range(_LIBRARIES)]
    for base in bases:
        content = elf_file(soname=f"lib{base.name}.so.1", defined=[f"{base.name}_{name}" for name in names])
        put(base.prefix / "lib" / f"lib{base.name}.so.1", content)
    libraries = [Package("lib", f"1.{number}", tuple(bases), root=root / "built") for number in range(replacements + 1)]
    for number, library in enumerate(libraries):
        paths = ":".join(str(one.prefix / "lib") for one in bases)
        needed = [f"lib{base.name}.so.1" for base in bases]
        undefined = [f"{base.name}_{name}" for base in bases for name in names[:_USED]]
        for part in ("one", "two"):
            defined = [f"{part}_{name}" for name in names[: _SYMBOLS - number]]
            content = elf_file(
                soname=f"lib{part}.so.1", needed=needed, rpath=paths, defined=defined, undefined=undefined
            )
            put(library.prefix / "lib" / f"lib{part}.so.1", content)
    apps = []
    for number in range(binaries):
        app = Package("app", f"1.{number}", (libraries[0], *bases), root=root / "built")
        paths = ":".join(str(one.prefix / "lib") for one in app.links)
        start = number % (_SYMBOLS - _USED + 1)
        used = [f"{part}_{name}" for part in ("one", "two") for name in names[start : start + _USED]]
        for program in ("app", "tool"):
            needed = ["libone.so.1", "libtwo.so.1"]
            unique = f"unique_{number}_{program}"
            content = elf_file(needed=needed, rpath=paths, undefined=used, defined=[unique], is_program=True)
            put(app.prefix / "bin" / program, content)
        apps.append(app)
    return fill(root / "cache", [*bases, *libraries, *apps])


def _run(command: str, *arguments: str) -> dict[str, list[object]]:
    done = CliRunner().invoke(jc, ["-q", "splices", command, *arguments, "--json"], catch_exceptions=False)
    if done.exit_code:
        raise SystemExit(done.output)
    value = json.loads(done.stdout)
    return value if isinstance(value, dict) else {"predictions": value}


def _report(root: Path) -> None:
    files = [word for form in ("csv", "html", "svg", "png", "pdf") for word in (f"--{form}", str(root / f"x.{form}"))]
    _run("report", "-d", str(root / "kept"), *files)


def _timed(what: str, work: Callable[[], object]) -> float:
    began, processor = time.perf_counter(), time.process_time()
    work()
    seconds = time.perf_counter() - began
    print(f"{what}: {seconds:.1f} s, {time.process_time() - processor:.1f} s of the processor", flush=True)
    return seconds


if __name__ == "__main__":
    main()
