"""The site and the template as a rehearsal has them: nothing in them leads off this machine. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

NO_COMMIT: Final = "0" * 40
"""A full commit, so that no git server has to be asked; it is never fetched, because no image is built with it."""

_MIRRORS: Final = ("source_mirror", "binary_mirror")


def rehearsed_site(
    site: Mapping[str, Any], *, s3: str, registry: str | None, clusters: str, line: str | None
) -> dict[str, Any]:
    """The site file with the servers of the rehearsal for all others.

    `line` is the Spack line of a rehearsal that builds no images; with images the refs stay what they are. Docker Hub
    and mirrors are left out, and clusters are folders below `clusters`.
    """
    result: dict[str, Any] = _with_endpoints(site, s3)
    own = {key: value for key, value in result.get("registry", {}).items() if key != "image"}
    result["registry"] = {**own, **({"image": f"{registry}/rehearsal"} if registry else {})}
    if line is not None:
        spack = {**result["spack"], "ref": NO_COMMIT, "version": line}
        if "packages" in spack:
            spack["packages"] = {**spack["packages"], "ref": NO_COMMIT}
        result["spack"] = spack
    publish = {key: value for key, value in result.get("publish", {}).items() if key != "dockerhub"}
    for name, cluster in publish.get("clusters", {}).items():
        cluster |= {"directory": f"{clusters}/{name}", "setup": ""}
    if publish:
        result["publish"] = publish
    else:
        result.pop("publish", None)
    return result


def rehearsed_template(template: Mapping[str, Any], software: str) -> dict[str, Any]:
    """The environment template with its packages installed below a folder of the rehearsal."""
    spack = dict(template["spack"])
    config = dict(spack.get("config", {}))
    tree = config.get("install_tree")
    config["install_tree"] = {**(tree if isinstance(tree, Mapping) else {}), "root": software}
    return {**template, "spack": {**spack, "config": config}}


def buckets(value: Any) -> set[str]:
    """The names of all buckets in a site file."""
    return set(_buckets(value))


def _buckets(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("bucket"), str):
            yield value["bucket"]
        for inner in value.values():
            yield from _buckets(inner)


def _with_endpoints(value: Any, s3: str) -> Any:
    """A copy in which every bucket is on one server."""
    if not isinstance(value, Mapping):
        return value
    # Keys that start with a dot only hold anchors, which are resolved by now.
    kept = {key: one for key, one in value.items() if not str(key).startswith(".") and key not in _MIRRORS}
    inner = {key: _with_endpoints(one, s3) for key, one in kept.items()}
    return {**inner, "endpoint": s3} if "bucket" in inner else inner
