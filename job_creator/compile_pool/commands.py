"""What a compiler is asked for, and whether another machine can do it. Pure.

A compile is done elsewhere from preprocessed text, with the options that are left then. Whatever is not known to give
the same object there is done here: a wrong "here" costs time, a wrong "elsewhere" a package.

Sources: GCC's manual, "Option Summary" and "Options Controlling the Preprocessor"; the specs of its driver (`gcc
-dumpspecs`) for the targets of dependency files; Clang's command line reference. Bytes were compared with GCC 12.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_LANGUAGES: Final = {
    ".c": "c",
    **dict.fromkeys((".cc", ".cp", ".cxx", ".cpp", ".CPP", ".c++", ".C"), "c++"),
}
"""By the ending of the source, as GCC's driver has them."""
_OTHER_SOURCES: Final = (".i", ".ii", ".m", ".mm", ".s", ".S")
_PREPROCESSED: Final = {"c": "cpp-output", "c++": "c++-cpp-output"}

_WITH_VALUE: Final = frozenset(
    [
        *("-o", "-x", "-T", "-u", "-z", "-e", "-A", "-G", "-h", "-arch", "-target", "-Xclang", "-mllvm", "-aux-info"),
        *("-I", "-D", "-U", "-L", "-l", "-F", "-B", "-include", "-imacros", "-isystem", "-iquote", "-idirafter"),
        *("-iprefix", "-iwithprefix", "-iwithprefixbefore", "-isysroot", "-imultilib", "-MF", "-MT", "-MQ", "-MJ"),
        *("-Xlinker", "-Xassembler", "-Xpreprocessor", "--param", "--sysroot", "-dumpbase", "-dumpdir"),
        *("-dumpbase-ext", "-wrapper", "-specs", "--serialize-diagnostics"),
    ]
)
"""Options whose value may be the next word. Of some it may also be joined to them."""

_TEXT_ONLY: Final = re.compile(
    r"-(I|D|U|L|l|A|include|imacros|isystem|iquote|idirafter|iprefix|iwithprefix|iwithprefixbefore|isysroot|imultilib"
    r"|nostdinc|nostdinc\+\+|undef|trigraphs|H|MD|MMD|MP|MG|MF|MT|MQ|-sysroot)"
)
"""What has no meaning once a text is preprocessed; here with its value in the next word or without one,"""
_JOINED: Final = re.compile(r"-(I|D|U|L|l|A|isystem|iquote|idirafter|include|imacros|isysroot|MF|MT|MQ|-sysroot=).+")
"""and here with its value in the same word."""

_HERE: Final = (
    (r"@", "takes its options from a file"),
    (r"-(E|S|M|MM|fsyntax-only|-version|V|###)$", "does not end in an object"),
    (r"-(P|CC?|traditional-cpp|fdirectives-only|fpch-preprocess|fpreprocessed)$", "preprocesses in another way"),
    (r"-(d|fdebug-cpp)", "shows the inside of the compiler"),
    (r"-m(arch|tune|cpu)=native$", "is for this machine's processor"),
    (r"-f(profile|branch-probabilities|auto-profile|test-coverage|condition-coverage)", "reads or writes a profile"),
    (r"--?coverage$", "reads or writes a profile"),
    (r"-save-temps|-f(dump|stack-usage|callgraph-info|opt-info|time-trace|save-optimization)", "writes more files"),
    (r"-(gsplit-dwarf|MJ|aux-info|-serialize-diagnostics)|-fdiagnostics-format=.*-file", "writes more files"),
    (r"-(fplugin|wrapper|B|Xclang|mllvm)|--?specs", "changes the compiler"),
    (r"-fmodule|-fcxx-modules|-fheader-unit|-include-pch|-emit-pch", "takes part in modules or precompiled headers"),
    (r"-(flto|fwhole-program|fuse-linker-plugin)", "is optimized at link time"),
    (r"-g(gdb|dwarf|stabs)?3$", "keeps macros for debuggers"),
    (r"-f(input|exec|wide-exec)-charset", "converts characters"),
    (r"-(Xpreprocessor|Xassembler|arch|target|-target)", "passes options that are not looked into"),
    (r"-Wp,.*-M", "writes dependencies in a way that is not looked into"),
    (r"-Wa,(.*,)?-a|-Wa,.*=", "asks more of the assembler than an object"),
    (r"-(frecord-gcc-switches|grecord-command-line|fcompare-debug)", "writes its options into the object"),
)
"""Options with which a compile is done here, as patterns, and why."""
_HERE_PATTERNS: Final = tuple((re.compile(pattern), reason) for pattern, reason in _HERE)

_PROBE: Final = re.compile(
    r"(^|/)(conftest|CMake(C|CXX)CompilerId|testCCompiler|testCXXCompiler|sanitycheckc|sanitycheckcpp|testfile)\b"
    r"|(^|/)(CMakeScratch|CMakeTmp|meson-private|conf\d+\.dir)(/|$)"
)
_NOT_IN_TEXT: Final = re.compile(rb"\.incbin|\.include|#\s*embed|#\s*pragma\s+GCC\s+pch_preprocess")
"""What a preprocessed text still reads from this machine when it is compiled."""
_ASKS_FOR_COMMENTS: Final = re.compile(r"-W(extra)?$|-Wimplicit-fallthrough")


DEPENDENCIES: Final = "{dependencies}"
_Word = tuple[str, str | None]
"""An option, with the value that follows it as a word of its own; of an input, the name of the option is empty."""


@dataclass(frozen=True, slots=True)
class HereOnly:
    """A command that is run as it is."""

    reason: str
    """Why, as the rest of a sentence that begins with the command."""
    is_compile: bool = True
    """Whether it would have made one object of one source, so that it is of interest why it was not done elsewhere."""


@dataclass(frozen=True, slots=True)
class PooledCompile:
    """A command that becomes two: one here makes a text, one elsewhere an object of it."""

    compiler: str
    source: str
    output: str
    preprocess: tuple[str, ...]
    """The command that writes the text to standard output. `DEPENDENCIES` in it stands for a file."""
    dependencies: str
    """The file that lists what was read, as the build wants it; nothing if it does not."""
    options: tuple[str, ...]
    """Of the compiler elsewhere, without input and output."""
    language: str
    """Of the text, for `-x`."""


def classify(argv: Sequence[str], folder: str = "") -> PooledCompile | HereOnly:
    """Where a command of a compiler, run in a folder, can be done. `argv[0]` is the compiler."""
    words = list(_words(argv[1:]))
    flags = [name for name, _ in words]
    if "-c" not in flags:
        return HereOnly("makes no object", is_compile=False)
    for name, value in words:
        for pattern, reason in _HERE_PATTERNS:
            if pattern.match(name if value is None else f"{name}{value}") or (
                value is not None and pattern.match(name)
            ):
                return HereOnly(f"{reason} ({name})")
    sources = [value for name, value in words if not name and value is not None]
    if len(sources) != 1:
        return HereOnly(f"has {len(sources)} sources" if sources else "has no source")
    if sources[0] == "-":
        return HereOnly("reads its source from standard input")
    return _compile(argv[0], words, sources[0], folder)


def sources_of(argv: Sequence[str]) -> tuple[str, ...]:
    """The sources among the inputs of a command; objects and libraries are none."""
    words = list(_words(argv[1:]))
    said = any(name == "-x" and value != "none" for name, value in words)
    inputs = [value for name, value in words if not name and value]
    return tuple(one for one in inputs if said or posixpath.splitext(one)[1] in (*_LANGUAGES, *_OTHER_SOURCES))


def stays_here(text: bytes) -> bool:
    """Whether a preprocessed text still reads files when it is compiled."""
    return _NOT_IN_TEXT.search(text) is not None


def _compile(compiler: str, words: Sequence[_Word], source: str, folder: str) -> PooledCompile | HereOnly:
    if _PROBE.search(source) or _PROBE.search(folder):
        return HereOnly("is a probe of a configuration")
    said = [value or "" for name, value in words if name == "-x"]
    language = said[0] if said else _LANGUAGES.get(posixpath.splitext(source)[1], "")
    if len(said) > 1 or language not in _PREPROCESSED:
        return HereOnly(f"is of the language {language!r}" if language else "is of a language that is not known")
    output = _last(words, "-o") or f"{posixpath.splitext(posixpath.basename(source))[0]}.o"
    dependencies = _dependencies(words, output)
    for path in (output, dependencies):
        if path == "-" or path.startswith("/dev/"):
            return HereOnly("writes to no file")
    options = tuple(_flat(one for one in words if one[0] and _is_of_text(one[0])))
    return PooledCompile(
        compiler,
        source,
        output,
        (compiler, *_preprocess(words, output, source, dependencies)),
        dependencies,
        options,
        _PREPROCESSED[language],
    )


def _last(words: Sequence[_Word], option: str) -> str:
    return next((value or "" for name, value in reversed(words) if name == option), "")


def _dependencies(words: Sequence[_Word], output: str) -> str:
    """The file that gets the dependencies, if they are asked for."""
    if not {"-MD", "-MMD"} & {name for name, _ in words}:
        return ""
    return _last(words, "-MF") or f"{posixpath.splitext(output)[0]}.d"


def _preprocess(words: Sequence[_Word], output: str, source: str, dependencies: str) -> Iterator[str]:
    """The options of the preprocessor, with the dependencies that the whole command would have written."""
    yield from _flat(one for one in words if one[0] not in ("", "-c", "-o", "-MF"))
    if dependencies:
        yield from ("-MF", DEPENDENCIES)
        if not {"-MT", "-MQ"} & {name for name, _ in words}:
            yield from ("-MQ", output)
    if any(_ASKS_FOR_COMMENTS.match(name) for name, _ in words):
        # A comment that says "fall through" is no text, but keeps the compiler from warning.
        yield "-C"
    yield from ("-E", source)


def _flat(words: Iterable[_Word]) -> Iterator[str]:
    """Options as a command line has them."""
    for name, value in words:
        yield from (name,) if value is None else (name, value)


def _is_of_text(name: str) -> bool:
    """Whether an option still says something about a preprocessed text."""
    if name in ("-c", "-o", "-x", "-MF") or name.startswith(("-Wp,", "-Wl,")):
        return False
    return not (_TEXT_ONLY.fullmatch(name) or _JOINED.fullmatch(name))


def _words(arguments: Sequence[str]) -> Iterator[_Word]:
    rest = iter(arguments)
    for word in rest:
        if word in _WITH_VALUE:
            yield word, next(rest, "")
        elif word.startswith(("-x", "-o")):
            yield word[:2], word[2:]
        elif word.startswith("-MF") and len(word) > 3:
            yield "-MF", word[3:]
        elif (word.startswith("-") and word != "-") or word.startswith("@"):
            yield word, None
        else:
            yield "", word
