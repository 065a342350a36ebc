"""What follows from Spack's answers. The records are as `scripts/sources.py` writes them, from real packages."""

from __future__ import annotations

from typing import Any

import pytest

from foundation.spack.lockfile import LockedSpec
from foundation.spack.source_needs import SourceKind, SourceNeeds, read_needs
from job_creator.mirrors.needs.answers import package_needs

LOCKED = LockedSpec("a" * 32, "tool", "1.0", False, (), (), "builtin", "hash====")
SHA256 = "07" * 32
URL = "https://example.org/tool-1.0.tar.gz"


def answer(*sources: dict[str, Any], **changed: Any) -> dict[str, Any]:
    known = {
        "hash": LOCKED.hash,
        "problem": "",
        "recipe": [],
        "sources": list(sources),
        "is_current": True,
        "licences": ["MIT"],
        "may_redistribute_source": True,
        "may_redistribute_binary": True,
        "manual": "",
        "build_system": "autotools",
        "build_tools": ["gcc", "gmake"],
    }
    return {**known, **changed}


def source(**changed: Any) -> dict[str, Any]:
    path = f"_source-cache/archive/07/{SHA256}.tar.gz"
    known = {"kind": "archive", "fetcher": "url", "urls": [URL], "digest": SHA256, "fixed": True}
    return {**known, "paths": [path, "tool/tool-1.0.tar.gz"], **changed}


def checkout(**changed: Any) -> dict[str, Any]:
    path, url = "_source-cache/git/tool.git/0123.tar.gz", "[git] https://example.org/tool.git at commit 0123"
    return source(fetcher="git", digest="", urls=[url], paths=[path], **changed)


def test_an_archive_can_be_mirrored() -> None:
    needs = package_needs(answer(source(urls=[URL, URL])), LOCKED)
    (found,) = needs.sources
    assert (found.kind, found.urls, found.sha256, found.obstacle) == (SourceKind.ARCHIVE, (URL,), SHA256, "")
    assert found.path.startswith("_source-cache/")
    assert found.links == ("tool/tool-1.0.tar.gz",)
    assert (needs.package_hash, needs.namespace, needs.licences, needs.warnings) == (
        "hash====",
        "builtin",
        ("MIT",),
        (),
    )


def test_a_commit_can_be_mirrored_but_not_verified() -> None:
    needs = package_needs(answer(checkout()), LOCKED)
    assert needs.sources[0].obstacle == ""
    assert needs.sources[0].sha256 == ""
    assert "nobody can verify" in needs.warnings[0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (checkout(fixed=False), "branch or tag"),
        (source(fetcher="develop", digest="", paths=[], fixed=False), "developer"),
        (source(fetcher="go", digest="", fixed=False), "go get"),
        (source(digest="", fixed=False), "no checksum"),
    ],
)
def test_what_nobody_can_mirror_says_why(changed: dict[str, Any], said: str) -> None:
    needs = package_needs(answer(changed), LOCKED)
    assert said in needs.sources[0].obstacle
    assert needs.warnings == ()


def test_a_manual_download_concerns_the_archive_only() -> None:
    needs = package_needs(answer(source(), source(kind="patch"), manual="Ask\n  the vendor."), LOCKED)
    assert "by hand: Ask the vendor." in needs.sources[0].obstacle
    assert needs.sources[1].obstacle == ""


@pytest.mark.parametrize(
    ("changed", "tool"),
    [
        ({"build_system": "cargo"}, "cargo"),
        ({"build_system": "go"}, "go"),
        ({"build_tools": ["python", "rust"]}, "cargo"),
        ({"build_tools": ["node-js"]}, "npm"),
        ({"build_tools": ["bazel", "npm"]}, "bazel and npm"),
    ],
)
def test_builds_that_download_are_warned_of(changed: dict[str, Any], tool: str) -> None:
    (warning,) = package_needs(answer(source(), **changed), LOCKED).warnings
    assert warning.endswith(f"by {tool}")


def test_a_recipe_that_was_changed_since_is_warned_of() -> None:
    (warning,) = package_needs(answer(source(), is_current=False), LOCKED).warnings
    assert "not the one that was locked" in warning


def test_an_older_checksum_is_not_taken_for_a_sha256() -> None:
    md5 = "d41d8cd98f00b204e9800998ecf8427e"
    needs = package_needs(answer(source(digest=md5, paths=[f"_source-cache/archive/d4/{md5}.tar.gz"])), LOCKED)
    assert needs.sources[0].sha256 == ""
    assert needs.warnings


def test_a_spec_that_spack_cannot_answer_for_says_so() -> None:
    record = {"hash": LOCKED.hash, "problem": "UnknownPackageError: tool", "recipe": [], "sources": []}
    needs = package_needs(record, LOCKED)
    assert needs.problem == "UnknownPackageError: tool"
    assert needs.sources[0].path == ""


def test_needs_survive_their_file() -> None:
    every = SourceNeeds({LOCKED.hash: package_needs(answer(source(), checkout(kind="resource")), LOCKED)})
    assert read_needs(every.as_json(), "file") == every


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"paths": ["../x/y"]}, "leads out"),
        ({"paths": ["a/b", "a/../../y"]}, "leads out"),
        ({"paths": ["v3/manifests/index/index.manifest.json"]}, "no place for sources"),
        ({"paths": [".spacktainers/needs.json"]}, "no place for sources"),
        ({"paths": ["a\nb/c"]}, "control characters"),
        ({"digest": "18" * 32}, "another checksum"),
        ({"digest": "", "fetcher": "git"}, "another checksum"),
        ({"paths": ["a/b", f"_source-cache/archive/07/{SHA256}.tar.gz"]}, "another checksum"),
    ],
)
def test_recipes_put_nothing_but_sources_into_a_mirror(changed: dict[str, Any], said: str) -> None:
    (found,) = package_needs(answer(source(**changed)), LOCKED).sources
    assert said in found.obstacle
    assert (found.path, found.links) == ("", ())
