"""Setting a rehearsal up: a copy of the repository under git, a clean environment, made-up secrets."""

from __future__ import annotations

import re
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import read_file, write_files
from foundation.doors.processes import ProcessError, run
from foundation.errors import NotReadyError, RefusedError, naming
from foundation.openpgp.ring import ring_folder
from foundation.yaml_io import dump, load
from job_creator import project_files
from job_creator.builds import node_step
from job_creator.engines.gitlab import names
from job_creator.inputs import read_all
from job_creator.pipelines.base import parent_document
from job_creator.rehearsal.shell import scenery
from job_creator.rehearsal.shell.gitlab_server import PROJECT_ID, gitlab_server
from job_creator.rehearsal.shell.servers import RunningRegistry, registry_server, s3_server, trusted
from job_creator.rehearsal.shell.stages import STATES, Stage, Tell
from job_creator.rehearsal.shell.stand_in import FAIL_VARIABLE, LAUNCHER
from job_creator.rehearsal.shell.tools import find_tools, warm_up
from job_creator.rehearsal.shell.translation import IMAGE_TOOLS, SIF_TOOLS
from job_creator.repository import part
from job_creator.site.site import Site

_IMPORTED: Final = re.compile(rf"{project_files.DEFINITIONS_FOLDER}/[^/]+/[^/]+\.def")
"""Definitions that wrap an image of some registry, which a rehearsal without images does not ask."""
_MARK: Final = ".rehearsal-of-spacktainers"
_HANDED_ON: Final = re.compile(
    r"(PATH|LANG|LC_\w+|TERM|TZ|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|XDG_RUNTIME_DIR|SPACK_(ROOT|PYTHON"
    r"|USER_CACHE_PATH|USER_CONFIG_PATH|SYSTEM_CONFIG_PATH|DISABLE_LOCAL_CONFIG)|STORAGE_DRIVER|BUILDAH_\w+|CONTAINERS_\w+)"
)
"""The variables that a rehearsal takes from its surroundings; secrets are never among them."""
_SETUP: Final = "PATH=$SPACK_ROOT/bin:$PATH\n"


@dataclass(frozen=True)
class Wishes:
    """What somebody wants rehearsed. `fails` are names of containers and packages that fail, with the stand-in."""

    repository: Path
    site_file: str
    folder: Path
    branch: str | None
    with_images: bool
    fails: Sequence[str]
    only: Sequence[str]
    environment: Mapping[str, str]
    node_modules: Sequence[Path] = ()

    @property
    def spack_root(self) -> str | None:
        """The root of a real Spack, if one is configured."""
        return self.environment.get("SPACK_ROOT")


@contextmanager
def set_up(wishes: Wishes, tell: Tell) -> Iterator[Stage]:
    """Everything that the pipelines need, until they are done. Raises `NotReadyError` for what is not installed."""
    engine = find_tools(wishes.node_modules, _found_first(wishes.environment))
    site = read_all(wishes.repository, wishes.site_file).site
    _clear(wishes.folder)
    value = load(read_file(wishes.repository / wishes.site_file), wishes.site_file)
    with ExitStack() as stack:
        s3 = stack.enter_context(s3_server(sorted(scenery.buckets(value))))
        registry = stack.enter_context(registry_server(wishes.folder / "registry")) if wishes.with_images else None
        checkout = wishes.folder / "checkout"
        api = stack.enter_context(gitlab_server(wishes.folder / "pipelines", checkout / STATES))
        branch = _copy(wishes, checkout)
        _adapt(wishes, checkout, site, value, s3, registry)
        _commit(wishes.folder, checkout, branch)
        environment = _environment(wishes, engine.node.parent, registry)
        if wishes.spack_root:
            tell("Spack indexes its recipes, once for all jobs")
            template = load(read_file(checkout / project_files.TEMPLATE_FILE), project_files.TEMPLATE_FILE)
            warm_up(wishes.folder / "warm", template, environment)
        if shutil.which("gpg"):
            for ring in ("keys", "gnupg"):
                stack.enter_context(ring_folder(wishes.folder / ring))
        variables = {**_variables(site, wishes.only, api, registry), **_keys(wishes, site)}
        limits = site.gitlab.limits.model_dump()
        missing = _missing(wishes)
        stage = Stage(wishes.folder, variables, environment, str(engine.node), str(engine.script), missing, limits)
        stage.save()
        yield stage


def _missing(wishes: Wishes) -> tuple[str, ...]:
    """The tools for images that are not here, or not wanted."""
    if not wishes.with_images:
        return IMAGE_TOOLS
    path = wishes.environment.get("PATH", "")
    absent = [one for one in ("buildah", "skopeo", "singularity") if not shutil.which(one, path=path)]
    return (*absent, *(SIF_TOOLS if "singularity" in absent else ()))


def _clear(folder: Path) -> None:
    """Make the folder anew, if a rehearsal made it. Raises `RefusedError` and `FileAccessError`."""
    with naming(folder):
        if folder.exists() and any(folder.iterdir()):
            if not (folder / _MARK).exists():
                raise RefusedError(
                    f"{folder}: is not empty, and no rehearsal made it; name another folder with --folder"
                )
            shutil.rmtree(folder)
        for name in ("home", "tmp", "spack/bin", "spack/share/spack"):
            (folder / name).mkdir(parents=True)
        # Proxies of the environment, which are handed on, may have passwords in them.
        folder.chmod(0o700)
        (folder / _MARK).touch()


def _git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost", "-c", "commit.gpgsign=false")
    try:
        return run(["git", "-C", str(folder), *who, *arguments], seconds=120)
    except ProcessError as error:
        raise NotReadyError(f"{folder}: {error}") from None


def _copy(wishes: Wishes, checkout: Path) -> str:
    """Copy what a push would bring and what is not committed yet, but nothing that git ignores; returns the branch."""
    listed = _git(wishes.repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        source, target = wishes.repository / name, checkout / name
        if not wishes.with_images and _IMPORTED.fullmatch(name):
            continue
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return wishes.branch or _git(wishes.repository, "branch", "--show-current").strip() or DEFAULT_BRANCH


def _adapt(wishes: Wishes, checkout: Path, site: Site, value: Any, s3: str, registry: RunningRegistry | None) -> None:
    """Write the site, the template and the parent pipeline of the rehearsal."""
    line = None if wishes.with_images else str(site.spack.line)
    clusters = wishes.folder / "clusters"
    for cluster in site.publish.clusters:
        (clusters / cluster).mkdir(parents=True)
    adapted = scenery.rehearsed_site(
        value, s3=s3, registry=registry.host if registry else None, clusters=str(clusters), line=line
    )
    files = {project_files.SITE_FILE: dump(adapted)}
    if wishes.spack_root and not wishes.with_images:
        template = load(read_file(part(checkout, project_files.TEMPLATE_FILE).path), project_files.TEMPLATE_FILE)
        files[project_files.TEMPLATE_FILE] = dump(scenery.rehearsed_template(template, str(wishes.folder / "software")))
    write_files(checkout, {name: text.encode() for name, text in files.items()})
    parent = parent_document(read_all(checkout, project_files.SITE_FILE))
    write_files(checkout, {names.PARENT_PIPELINE: parent.encode()})


def _commit(folder: Path, checkout: Path, branch: str) -> None:
    """Make a repository of the copy, with a remote that has the same branches."""
    origin = folder / "group" / "containers.git"
    origin.mkdir(parents=True)
    _git(origin, "init", "--quiet", "--bare")
    _git(checkout, "init", "--quiet")
    _git(checkout, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
    write_files(checkout / ".git" / "info", {"exclude": f"/{STATES}/\n".encode()})
    _git(checkout, "add", "--all", "--force")
    _git(checkout, "commit", "--quiet", "--no-verify", "--message", "Rehearsal")
    _git(checkout, "remote", "add", "origin", str(origin))
    _git(checkout, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    if branch != DEFAULT_BRANCH:
        _git(checkout, "push", "--quiet", "origin", f"HEAD:refs/heads/{DEFAULT_BRANCH}")
    _git(checkout, "fetch", "--quiet", "origin")
    _git(checkout, "remote", "set-head", "origin", DEFAULT_BRANCH)


DEFAULT_BRANCH: Final = "main"


def _found_first(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which the programs beside this Python are found first, as in the jobs."""
    return {**environment, "PATH": f"{Path(sys.executable).parent}:{environment.get('PATH', '')}"}


def _environment(wishes: Wishes, node: Path, registry: RunningRegistry | None) -> dict[str, str]:
    folder = wishes.folder
    handed_on = {name: value for name, value in wishes.environment.items() if _HANDED_ON.fullmatch(name)}
    if not wishes.spack_root:
        for name, text in {"bin/spack": LAUNCHER, "share/spack/setup-env.sh": _SETUP}.items():
            write_files(folder / "spack" / Path(name).parent, {Path(name).name: text.encode()})
        (folder / "spack" / "bin" / "spack").chmod(0o755)
        handed_on["SPACK_ROOT"] = str(folder / "spack")
    authorities = folder / "authorities.pem"
    authorities.write_bytes(trusted(registry.certificate if registry else None))
    path = _found_first(wishes.environment)["PATH"]
    own, _, others = path.partition(":")
    return {
        **handed_on,
        "PATH": f"{own}:{node}:{others}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "SPACK_GNUPGHOME": str(folder / "gnupg"),
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        # Nobody becomes a user of this machine for a rehearsal.
        node_step.SAME_USER_VARIABLE: "yes",
        "REHEARSAL_FOLDER": str(folder),
        "REHEARSAL_CHECKOUT": str(folder / "checkout"),
        "REGISTRY_AUTH_FILE": str(folder / "auth.json"),
        "SSL_CERT_FILE": str(authorities),
        "REQUESTS_CA_BUNDLE": str(authorities),
        "NO_PROXY": ",".join(filter(None, (wishes.environment.get("NO_PROXY"), "127.0.0.1", "127.0.0.2", "localhost"))),
        **({FAIL_VARIABLE: " ".join(wishes.fails)} if wishes.fails else {}),
    }


def _variables(site: Site, only: Sequence[str], api: str, registry: RunningRegistry | None) -> dict[str, str]:
    """What GitLab and the project's settings would put into every job; all secrets are made up."""
    made_up = {
        name: f"rehearsal-{secrets.token_hex(8)}"
        for architecture in site.architectures.values()
        for own in (architecture.build_cache, architecture.containers)
        if own
        for bucket in (own, own.of_branches())
        for keys in (bucket.writer, bucket.reader)
        if keys
        for name in keys.names
    }
    return {
        **made_up,
        site.registry.user_variable: "rehearsal",
        site.registry.password_variable: f"rehearsal-{secrets.token_hex(8)}",
        "CI_JOB_TOKEN": f"rehearsal-{secrets.token_hex(8)}",
        "CI_API_V4_URL": api,
        "CI_PROJECT_ID": str(PROJECT_ID),
        # Empty where there is none: then nothing counts as published.
        "CI_REGISTRY": registry.host if registry else "",
        "CI_REGISTRY_IMAGE": f"{registry.host}/rehearsal" if registry else "",
        "CI_DEFAULT_BRANCH": DEFAULT_BRANCH,
        **({"SPACKTAINERS_ONLY": " ".join(only)} if only else {}),
    }


def _keys(wishes: Wishes, site: Site) -> dict[str, str]:
    """A key pair that lasts as long as the rehearsal, or where gpg is missing and nothing real signs, a made-up key."""
    home = wishes.folder / "keys"
    public, private = home / "public.asc", home / "private.asc"
    if shutil.which("gpg"):
        _make_keys(home, public, private)
        return {site.signing.private_key_variable: str(private), site.signing.public_key_variable: str(public)}
    if wishes.spack_root or wishes.with_images:
        raise NotReadyError("gpg is needed to sign with; install it (Debian, Ubuntu: apt install gnupg)")
    write_files(home, {private.name: b"the stand-in for Spack signs nothing\n"})
    return {site.signing.private_key_variable: str(private)}


def _make_keys(home: Path, public: Path, private: Path) -> None:
    gpg = ["gpg", "--homedir", str(home), "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""]
    try:
        run([*gpg, "--quick-generate-key", "Rehearsal <rehearsal@localhost>", "rsa3072", "sign", "1d"], seconds=120)
        run([*gpg, "--armor", "--output", str(public), "--export"], seconds=60)
        run([*gpg, "--armor", "--output", str(private), "--export-secret-keys"], seconds=60)
    except ProcessError as error:
        raise NotReadyError(f"cannot make a key to sign with: {error}") from None
    private.chmod(0o600)
