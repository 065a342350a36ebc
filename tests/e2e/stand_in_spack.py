#!/usr/bin/env python3
"""Stands for Spack in the builder image of a rehearsal: installs what a lockfile says, if the build cache has it."""

import json
import os
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ENVIRONMENT = Path("/opt/spack-environment")
STORE = Path("/opt/software")
VIEW = Path("/opt/view")


def nodes() -> list[Mapping[str, Any]]:
    lock = json.loads((ENVIRONMENT / "spack.lock").read_text())
    return [node for node in lock["concrete_specs"].values() if "external" not in node]


def is_in_cache(node: Mapping[str, Any], text: str) -> bool:
    """Whether one of the mirrors has a manifest of the spec."""
    (endpoint, *_), (variable, *_) = (
        re.findall(rf"{key}: '?([^\s']+)", text) for key in ("endpoint_url", "id_variable")
    )
    key = f"v3/manifests/spec/{node['name']}/{node['name']}-{node['version']}-{node['hash']}.spec.manifest.json"
    for place in re.findall(r"url: '?s3://([^\s']+)", text):
        try:
            # Without a word on who asks, a bucket that is not public says no; moto does not check the rest.
            who = f"AWS4-HMAC-SHA256 Credential={os.environ[variable]}/20260101/us-east-1/s3/aws4_request"
            headers = {"Authorization": f"{who}, SignedHeaders=host, Signature=0"}
            request = urllib.request.Request(f"{endpoint}/{place}/{key}", headers=headers)  # noqa: S310
            urllib.request.urlopen(request).close()  # noqa: S310
        except urllib.error.HTTPError:
            continue
        return True
    return False


def install(arguments: Sequence[str]) -> None:
    mirrors = Path("/opt/spacktainer/mirrors/mirrors.yaml").read_text()
    for node in nodes():
        if not is_in_cache(node, mirrors):
            sys.exit(f"No binary for {node['name']}/{node['hash']} found when cache-only specified")
        program = STORE / node["hash"] / "bin" / node["name"]
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\necho "{node["name"]} {node["version"]}" "$@"\n')
        program.chmod(0o755)
    assert "--cache-only" in arguments
    (ENVIRONMENT / ".spack-env").mkdir(exist_ok=True)


def view() -> None:
    content = VIEW.parent / "._view" / "content"
    (content / "bin").mkdir(parents=True)
    for node in nodes():
        (content / "bin" / node["name"]).symlink_to(STORE / node["hash"] / "bin" / node["name"])
    VIEW.symlink_to(content)


def main(arguments: Sequence[str]) -> None:
    words = " ".join(arguments)
    if " install " in words:
        install(arguments)
    elif " gc " in words:
        shutil.rmtree(STORE / "build-tool", ignore_errors=True)
    elif "env view regenerate" in words:
        view()
    elif words == "gpg list --trusted":
        sys.stdout.write("pub   rsa4096 2026-01-01 [SC]\n")
    elif words.startswith("python "):
        # What modifications.py says of the environment.
        folder = f"{VIEW}/bin"
        sys.stdout.write(json.dumps([{"name": "PATH", "steps": [["PrependPath", folder, ":"]], "alone": folder}]))


main(sys.argv[1:])
