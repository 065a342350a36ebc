"""Further instances of each kind of case: what works, and what `jc check` says of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.checks.environments import faults

SPECS = "spack:\n  specs: [bzip2]\n"


def packages(text: str) -> str:
    return f"{SPECS}  packages: {{{text}}}\n"


def view(text: str) -> str:
    return f"{SPECS}  view: {{default: {{root: /opt/v, {text}}}}}\n"


def of_jobs(text: str) -> str:
    return f"{SPECS}  ci: {{pipeline-gen: [{{build-job: {{{text}}}}}]}}\n"


def definitions(text: str) -> str:
    return f"spack:\n  definitions: [{text}]\n  specs: [$a]\n"


def mirror(text: str) -> str:
    return f"{SPECS}  mirrors: {{a: {text}}}\n"


REFUSED = {
    # As develop: sources at a path of one machine.
    "dev_path of a root": ("spack:\n  specs: [bzip2@=1.0.8 dev_path=/x]\n", "2:24: 'dev_path' cannot be used"),
    "dev_path of a package": (packages("bzip2: {require: dev_path=../x}"), "3:31: 'dev_path' cannot be used"),
    "dev_path of a dependency": ("spack:\n  specs: [hdf5 ^bzip2 dev_path=/x]\n", "2:23: 'dev_path' cannot be used"),
    # Externals.
    "an external without a version": (
        packages("x: {externals: [{spec: x, prefix: /usr}]}"),
        "3:37: 'x' does not say which version it is",
    ),
    "an external in a range": (
        packages("x: {externals: [{spec: 'x@1:', prefix: /usr}]}"),
        "3:37: 'x@1:' does not say which version",
    ),
    "an external of another package": (
        packages("x: {externals: [{spec: y@1, prefix: /usr}]}"),
        "3:37: 'y@1' is no external of 'x'; put it below the key 'y'",
    ),
    "an external that is nowhere": (
        packages("x: {externals: [{spec: x@1}]}"),
        "3:30: the external 'x@1' has no 'prefix'",
    ),
    "an external at home": (
        packages("x: {externals: [{spec: x@1, prefix: $HOME/x}]}"),
        "3:50: the prefix '$HOME/x' is not the same place",
    ),
    # Projections.
    "a field that specs do not have": (view("projections: {all: '{nam}'}"), "3:54: a spec has no 'nam'; did you"),
    "a brace that nothing closes": (view("projections: {all: '{name}/{version'}"), "3:61: this brace is not"),
    "a projection out of the view": (view("projections: {bzip2: '../{name}'}"), "3:56: '../{name}' may lead"),
    "an absolute projection": (view("projections: {all: '/{name}'}"), "3:54: '/{name}' leads to another folder"),
    "a projection of the install tree": (
        f"{SPECS}  config: {{install_tree: {{root: /opt/s, projections: {{all: '{{arch.cpu}}/{{hash}}'}}}}}}\n",
        "3:61: an architecture has no 'cpu'",
    ),
    # Mirrors.
    "a mirror without a place": (mirror("{signed: false}"), "3:13: 'a' has none of 'url', 'fetch', 'pull'"),
    "a mirror to push to alone": (mirror("{push: 's3://b'}"), "3:13: 'a' has none of 'url', 'fetch', 'pull'"),
    "a mirror with a password": (mirror("https://me:secret@x.example.org"), "3:16: the URL of x.example.org has"),
    "a mirror with a signature": (
        mirror("{fetch: {url: 'https://x.example.org/b?X-Amz-Signature=secret'}}"),
        "3:30: the URL of x.example.org has something behind '?'",
    ),
    "an endpoint with a password": (
        mirror("{url: 's3://b', endpoint_url: 'https://me:secret@x.example.org'}"),
        "3:46: 'endpoint_url' holds a user or password",
    ),
    "an endpoint with a signature": (
        mirror("{push: {url: 's3://b', endpoint_url: 'https://x.example.org?sig=secret'}, fetch: 's3://b'}"),
        "3:53: 'endpoint_url' has something behind '?'",
    ),
    "a group of a package": (
        packages("bzip2: {permissions: {read: group, group: staff}}"),
        "3:49: packages are built by a user of their own",
    ),
    "a group of all packages": (
        packages("all: {permissions: {group: staff}}"),
        "3:34: packages are built by a user of their own",
    ),
    "a mirror by an unknown scheme": (mirror("htps://x.example.org"), "3:16: Spack knows no mirrors by 'htps://'"),
    "a mirror without a host": (mirror("'https://'"), "3:16: 'https://' is no URL"),
    "a mirror with a variable": (mirror("{fetch: 'https://x/$arch'}"), "3:24: Spack replaces nothing in URLs"),
    # Secrets, which recipes would get.
    "a mirror that is read with keys that write": (
        mirror("{url: 's3://b', access_pair: {id: x, secret_variable: AWS_CACHE_SECRET_ACCESS_KEY}}"),
        "3:70: recipes and builds would be given AWS_CACHE_SECRET_ACCESS_KEY, which writes s3://cache-amd64",
    ),
    "a mirror that is read with the job's token": (
        mirror("{fetch: {url: 'oci://x.example.org/b', access_token_variable: CI_JOB_TOKEN}}"),
        "3:78: recipes and builds would be given CI_JOB_TOKEN",
    ),
    "a variable with the signing key": (
        of_jobs("variables: {OWN: '${SPACK_DEPLOYMENT_KEY_PRIVATE}'}"),
        "3:53: recipes and builds would be given SPACK_DEPLOYMENT_KEY_PRIVATE, which signs",
    ),
    "a variable of a secret's name": (
        of_jobs("variables+: {CI_REGISTRY_PASSWORD: ''}"),
        "3:71: recipes and builds would be given CI_REGISTRY_PASSWORD, which pushes images",
    ),
    # What no program can be given.
    "a NUL in a command": (f"{SPECS}spacktainer: {{test: [\"a\\0b\"]}}\n", "3:22: a NUL character, which no path"),
    "a NUL in a path": (f"{SPECS}  include: [\"a\\0b\"]\n", "3:13: a NUL character, which no path"),
    # Requirements of nothing.
    "a requirement without a spec": (
        packages("bzip2: {require: [{when: +shared}]}"),
        "3:32: this value has none of 'spec', 'one_of', 'any_of'",
    ),
    # Jobs.
    "a job in several": (of_jobs("parallel: 3"), "3:36: 'parallel' cannot be used: a package is built by one job"),
    "a job that waits": (of_jobs("start_in: 1 hour"), "3:36: 'start_in' has no effect here"),
    # What only has another form.
    "labels as a list": (f"{SPECS}  container: {{labels: [a]}}\n", "3:23: 'labels' must be a mapping"),
    "one package of the distribution": (
        f"{SPECS}  container: {{os_packages: {{final: tini}}}}\n",
        "3:36: 'final' must be a list; write a list: [tini]",
    ),
    "a former key of ci": (f"{SPECS}  ci: {{mappings: []}}\n", "3:8: unknown key 'mappings'; write pipeline-gen:"),
    "a job's keyword beside jobs": (f"{SPECS}  ci: {{tags: [x]}}\n", "3:8: unknown key 'tags'; say it of jobs"),
    # Toolchains.
    "a toolchain that is a package": (
        "spack:\n  specs: [bzip2 %gnu]\n  toolchains: {gnu: gcc}\n",
        "3:21: 'gcc' is a package, which nothing with this toolchain could be; write '%gcc'",
    ),
    "a toolchain with '^'": (
        "spack:\n  specs: [bzip2 %gnu]\n  toolchains: {gnu: '%gcc ^zlib'}\n",
        "3:27: '^' cannot be used in toolchains",
    ),
    "a toolchain of itself": (
        "spack:\n  specs: [bzip2 %gcc]\n  toolchains: {gcc: '%gcc'}\n",
        "3:22: the toolchain 'gcc' would stand for itself; name the languages",
    ),
    "toolchains of each other": (
        "spack:\n  specs: [bzip2 %a]\n  toolchains: {a: '%b', b: [{spec: '%c=gcc %d'}], d: '%a', e: '%c=gcc'}\n",
        "3:20: the toolchain 'a' stands for itself, by way of b, d",
    ),
    "a part of a toolchain without a spec": (
        "spack:\n  specs: [bzip2 %gnu]\n  toolchains: {gnu: [{when: '%c'}]}\n",
        "3:22: 'spec' is missing",
    ),
    # Lists.
    "an empty row": ("spack:\n  specs: [{matrix: [[xz], []]}]\n", "2:27: this row of the matrix is empty"),
    "a matrix of nothing": ("spack:\n  specs: [{matrix: []}]\n", "2:20: this matrix has no rows"),
    "two lists in one entry": (definitions("{a: [xz], b: [lz4]}"), "2:27: an entry of 'definitions' has one name"),
    "a list without a name": (definitions("{a: [xz]}, {when: 'True'}"), "2:28: this entry of 'definitions' has no"),
    "a list of a later one": (definitions("{a: [$b]}, {b: [xz]}"), "2:22: the list 'b' is not defined yet"),
    "a list of itself": (definitions("{a: [xz]}, {a: [$a]}"), "2:33: the list 'a' is not defined yet"),
    "a condition that is no Python": (definitions("{a: [xz], when: import os}"), "2:33: 'import os' is no expression"),
    "an empty condition": (definitions("{a: [xz], when: ''}"), "2:34: '' is no expression of Python"),
    "a condition with an unknown name": (definitions("{a: [xz], when: 'plaform == 1'}"), "2:34: conditions know no"),
    "a condition with a misspelt spec": (
        definitions("{a: [xz], when: 'arch.satisfies(\"x86_64:\")'}"),
        "2:49: Spack 1.1 refuses 'x86_64:'",
    ),
    # Variables and targets.
    "a variable that no shell can have": (f"{SPECS}  env_vars: {{set: {{A B: c}}}}\n", "3:20: 'A B' cannot be"),
    "a variable to unset": (f"{SPECS}  env_vars: {{unset: [A-B]}}\n", "3:22: 'A-B' cannot be the name"),
    "a target of other machines": ("spack:\n  specs: [xz target=neoverse_v1]\n", "2:14: no machine of amd64 has the"),
    "a compiler without programs": (
        f"{SPECS}  compilers: [{{compiler: {{spec: gcc@13, operating_system: x, modules: []}}}}]\n",
        "3:16: 'paths' is missing below 'compiler'",
    ),
    # Configuration.
    "certificates beside the environment": (
        f"{SPECS}  config: {{ssl_certs: ./certs.pem}}\n",
        "3:23: './certs.pem' is looked for beside the environment",
    ),
    "a path longer than paths may be": (
        f"{SPECS}  config: {{install_tree: {{root: /opt/s, padded_length: 5000}}}}\n",
        "3:56: 'padded_length' must be 4095 or less",
    ),
    "an unknown way to download": (
        f"{SPECS}  config: {{url_fetch_method: wget}}\n",
        "3:30: 'url_fetch_method' must not be 'wget'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_spack_refuses_or_passes_over_is_told_at_its_place(tmp_path: Path, name: str) -> None:
    definition, expected = REFUSED[name]
    found = faults(tmp_path, definition)
    assert len(found) == 1, found
    assert found[0].startswith(f"here:{expected}")


VALID = {
    "an external of a commit": packages("x: {externals: [{spec: x@git.abc=1.2, prefix: /opt/x}]}"),
    "an exact external": packages("x: {externals: [{spec: 'x@=1.2 +y %gcc@13', prefix: /opt/x}]}"),
    "an external with a namespace": packages("x: {externals: [{spec: builtin.x@1.2, prefix: /opt/x}]}"),
    "an external of modules": packages("x: {buildable: false, externals: [{spec: x@1.2, modules: [x/1.2]}]}"),
    "projections": view("projections: {all: '{name}/{version}-{compiler.name}-{hash:7}', '^mpi': '{^mpi.name}/x'}"),
    "a literal brace": view("projections: {all: 'a\\{b\\}/{architecture.target}/{ namespace=namespace}'}"),
    "a mirror with its parts": mirror("{fetch: 'https://x.example.org', push: 's3://b/c'}"),
    "a mirror by another spelling": mirror("HTTPS://x.example.org"),
    "a mirror with a user and no password": mirror("sftp://me@x.example.org/c"),
    "a toolchain for languages": "spack:\n  specs: [bzip2 %gcc]\n  toolchains: {gcc: [{spec: '%c=gcc', when: '%c'}]}\n",
    "a list of an earlier one": definitions("{b: [xz]}, {a: [$b, lz4], when: 'len(hostname) and env.get(\"A\") != 1'}"),
    "a condition": definitions("{a: [xz], when: 'any(arch.satisfies(x) for x in [\"target=x86_64:\"])'}, {a: [lz4]}"),
    "a target of these machines": "spack:\n  specs: [xz target=zen3, lz4 target=x86_64:]\n",
    "curl with options": f"{SPECS}  config: {{url_fetch_method: 'curl --retry 3'}}\n",
}  # fmt: skip


@pytest.mark.parametrize("name", VALID)
def test_what_works_is_no_fault(tmp_path: Path, name: str) -> None:
    assert faults(tmp_path, VALID[name]) == []
