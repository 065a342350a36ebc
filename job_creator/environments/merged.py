"""Template + definition -> `spack.yaml`, valid for the Spack line in use. One environment serves both the build cache
and the container, so that both see the same hashes.

Three layers, each stronger than the one before: what the site says (target, compiler, mirrors, CI), the template
`spack.yaml`, the definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foundation.spack.releases import Novelty
from job_creator.builds import node_step
from job_creator.environments.foreign_code import apart_options
from job_creator.environments.marks import key_of, merge, replaces, without_order_marks
from job_creator.environments.requirements import SiteRequirements, with_requirements
from job_creator.environments.setting import Setting, mirrors, with_destination
from job_creator.scripts.rendering import render
from job_creator.site.places import BinaryMirror


def merged_environment(setting: Setting, template: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    """The `spack.yaml` of one container, as plain values."""
    pipeline_generation = _pipeline_generation(setting, apart_options(setting, (template, definition)))
    generated = {
        "packages": {},
        "mirrors": mirrors(setting),
        "ci": pipeline_generation,
        **({"config": {"installer": setting.installer}} if setting.installer else {}),
    }
    environment = without_order_marks(merge(merge(generated, template), definition))
    mirrors_key = key_of(environment, "mirrors")
    environment[mirrors_key] = with_destination(environment[mirrors_key], setting)
    packages_key = key_of(environment, "packages")
    wanted = SiteRequirements.of(setting.line, setting.architecture)
    toolchains = environment.get(key_of(environment, "toolchains"))
    environment[packages_key] = with_requirements(environment.get(packages_key), wanted, toolchains or ())
    ci_key = key_of(environment, "ci")
    environment[ci_key] = _with_pipeline_generation(environment[ci_key], pipeline_generation)
    first = {"specs": environment.pop("specs", [])}
    return {"spack": _padded(_valid_for_line({**first, **environment}), setting.architecture.binary_mirror)}


def _pipeline_generation(setting: Setting, apart: str) -> dict[str, Any]:
    """The `ci:` section (lib/spack/spack/schema/ci.py); `apart` are options of the program that builds packages.

    `script::` replaces Spack's own script, which would otherwise run as well.
    """
    variables = usual_variables(setting)
    any_job: dict[str, Any] = {
        "image": {"name": setting.builder, "entrypoint": [""]},
        "tags": list(setting.architecture.tags("packages")),
        "before_script": [
            render("spack_setup.sh.j2", public_key=setting.public_key_variable, signed=setting.reads_signed)
        ],
        **({"variables": variables} if variables else {}),
    }
    program, new_installer = f"{node_step.FOLDER}/{node_step.PROGRAM}", setting.line.has(Novelty.NEW_INSTALLER)
    build_job: dict[str, Any] = {
        "script:": [render("spack_rebuild.sh.j2", program=program, apart=apart, new_installer=new_installer)]
    }
    if setting.signs:
        build_job["before_script-"] = [render("spack_sign.sh.j2", private_key=setting.signing_key_variable)]
    return {"target": "gitlab", "pipeline-gen": [{"any-job": any_job}, {"build-job": build_job}]}


def usual_variables(setting: Setting) -> dict[str, str]:
    """The variables that the site sets in the jobs of all packages. An environment may set others."""
    return {**setting.credentials(), **setting.architecture.job_variables("packages")}


def _with_pipeline_generation(ci: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    """A section `ci` with what the site needs in it, also where `pipeline-gen::` or `ci::` drops that."""
    written = ci if isinstance(ci, Mapping) else {}
    key = key_of(written, "pipeline-gen")
    entries = written.get(key)
    jobs = entries if isinstance(entries, list) else []
    lost = [entry for entry in own["pipeline-gen"] if entry not in jobs]
    others = {name: value for name, value in written.items() if name != key}
    return {"target": own["target"], **others, key if replaces(key) else "pipeline-gen": [*jobs, *lost]}


def _padded(environment: dict[str, Any], promise: BinaryMirror | None) -> dict[str, Any]:
    """Who installs from a mirror relies on the length of its paths, so neither template nor definition changes it."""
    if promise is None or promise.padded_length is None:
        return environment
    key = key_of(environment, "config")
    config = environment.get(key)
    values = config if isinstance(config, Mapping) else {}
    inner = key_of(values, "install_tree")
    tree = values.get(inner)
    # A definition may have replaced all of it by a path, which only is a mapping further up.
    written = {"root": tree} if isinstance(tree, str) else tree if isinstance(tree, Mapping) else {}
    return {**environment, key: {**values, inner: {**written, "padded_length": promise.padded_length}}}


def _valid_for_line(environment: dict[str, Any]) -> dict[str, Any]:
    """A plain path as `install_tree` is refused from Spack 1.1 on; the mapping is known to all lines."""
    key = key_of(environment, "config")
    config = environment.get(key)
    inner = key_of(config, "install_tree") if isinstance(config, Mapping) else ""
    if isinstance(config, Mapping) and isinstance(config.get(inner), str):
        environment[key] = {**config, inner: {"root": config[inner]}}
    return environment
