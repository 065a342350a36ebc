from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from foundation.spack.lockfile import LockedSpec, Lockfile
from foundation.spack.source_needs import PackageNeeds, Source, SourceKind, SourceNeeds
from job_creator.mirrors.needs.plan import (
    NO_LICENCE,
    MirrorPlan,
    Status,
    binary_items,
    built_specs,
    source_items,
    usable_binaries,
)


def spec(name: str, *runtime: str, build: tuple[str, ...] = (), external: bool = False) -> LockedSpec:
    return LockedSpec(name, name, "1", external, (*runtime, *build), runtime)


def lock(*specs: LockedSpec, roots: tuple[str, ...]) -> Lockfile:
    return Lockfile(roots, {one.hash: one for one in specs})


def archive(name: str, **changed: object) -> Source:
    return replace(Source(SourceKind.ARCHIVE, (f"https://x/{name}",), "0" * 64, f"_source-cache/{name}"), **changed)  # type: ignore[arg-type]


def package(name: str, *sources: Source, **changed: object) -> PackageNeeds:
    return replace(PackageNeeds(name, "", name, "1", "builtin", sources), **changed)  # type: ignore[arg-type]


def needs(*packages: PackageNeeds) -> SourceNeeds:
    return SourceNeeds({one.hash: one for one in packages})


def test_externals_need_nothing() -> None:
    locked = lock(spec("app", "libc", "lib"), spec("libc", external=True), spec("lib"), roots=("app",))
    assert list(built_specs([locked])) == ["app", "lib"]


def test_binaries_are_those_that_are_used_to_install() -> None:
    locked = lock(
        spec("app", "lib", build=("cmake",)),
        spec("lib", "libc", build=("m4",)),
        spec("cmake", "curl"),
        spec("curl"),
        spec("m4"),
        spec("libc", external=True),
        roots=("app",),
    )
    every = needs(*(package(name) for name in ("app", "lib", "cmake", "curl", "m4")))
    assert usable_binaries([locked], every, private=False) == {"app", "lib"}
    # What nobody may hand on is built on site, and that takes its build tools.
    closed = every.merged(needs(package("app", may_redistribute_binary=False)))
    assert usable_binaries([locked], closed, private=False) == {"app", "lib", "cmake", "curl"}
    assert usable_binaries([locked], closed, private=True) == {"app", "lib"}


def test_sources_are_present_missing_or_impossible() -> None:
    found = source_items(
        needs(
            package("a", archive("a")),
            package("b", archive("b"), archive("patch", kind=SourceKind.PATCH)),
            package("c", archive("c", obstacle="by hand")),
            package("d", archive("d", obstacle="by hand")),
        ),
        {"_source-cache/a": 10, "_source-cache/d": 20},
        private=False,
    )
    assert [(item.kind, item.path[-1], item.status) for item in found] == [
        ("archive", "a", Status.PRESENT),
        ("archive", "b", Status.MISSING),
        ("patch", "h", Status.MISSING),
        ("archive", "c", Status.NEVER),
        # Somebody has put it there.
        ("archive", "d", Status.PRESENT),
    ]
    plan = MirrorPlan(SourceNeeds(), found)
    assert not plan.is_complete
    assert plan.size(Status.PRESENT) == (30, 0)
    assert plan.size(Status.MISSING) == (0, 2)
    sized = plan.with_sizes({"_source-cache/b": 5, "_source-cache/a": 99})
    assert sized.size(Status.MISSING) == (5, 1)
    assert sized.size(Status.PRESENT) == (30, 0)


def test_what_several_packages_share_stands_there_once() -> None:
    shared = archive("same")
    (item,) = source_items(needs(package("a", shared), package("b", shared)), {}, private=False)
    assert [one.name for one in item.packages] == ["a", "b"]


def test_sources_without_path_are_not_the_same() -> None:
    unknown = archive("x", path="", obstacle="folder of a developer")
    items = source_items(needs(package("a", unknown), package("b", unknown)), {"": 1}, private=False)
    assert [item.status for item in items] == [Status.NEVER, Status.NEVER]


def test_what_may_not_be_handed_on_needs_a_private_mirror() -> None:
    closed = package("a", archive("a"), may_redistribute_source=False, may_redistribute_binary=False)
    for private, status in ((False, Status.NEVER), (True, Status.MISSING)):
        (source,) = source_items(needs(closed), {}, private=private)
        (binary,) = binary_items(needs(closed), {"a"}, {}, private=private)
        assert source.status == binary.status == status
        assert ("--private" in source.reason) == (not private)
    # Another package may hand on the same file.
    (source,) = source_items(needs(closed, package("b", archive("a"))), {}, private=False)
    assert source.status == Status.MISSING


def test_what_spack_cannot_answer_for_is_missing() -> None:
    unknown = package("a", archive("", path="", obstacle="nobody knows"), problem="UnknownPackageError")
    (item,) = source_items(needs(unknown), {}, private=False)
    assert item.status == Status.MISSING
    assert "UnknownPackageError" in item.reason


def test_licences_are_counted() -> None:
    every = needs(package("a", licences=("MIT",)), package("b", licences=("MIT", "GPL-2.0-only")), package("c"))
    assert MirrorPlan(every, ()).licences() == {"MIT": 2, "GPL-2.0-only": 1, NO_LICENCE: 1}


names = st.sampled_from("abcdef")


@given(st.lists(st.tuples(names, st.sets(names, max_size=3)), max_size=6), st.sets(names))
def test_a_plan_has_every_file_once_and_says_how_it_stands(wanted: list[tuple[str, set[str]]], there: set[str]) -> None:
    every = needs(*(package(f"p{number}", *map(archive, sorted(files))) for number, (_, files) in enumerate(wanted)))
    present = {f"_source-cache/{name}": 1 for name in there}
    items = source_items(every, present, private=False)
    paths = [item.path for item in items]
    needed = {source.path for one in every.packages.values() for source in one.sources}
    assert len(paths) == len(set(paths))
    assert set(paths) == needed
    assert {item.path for item in items if item.status == Status.PRESENT} == needed & present.keys()
    # Filled with all that was missing, it is complete.
    filled = present | dict.fromkeys(needed, 1)
    assert MirrorPlan(every, source_items(every, filled, private=False)).is_complete
