"""What jobs give to pip, where their image lacks the commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from job_creator import project_files
from job_creator.scripts.rendering import render

PYTHON = """\
#!/bin/sh
mkdir -p "$3/bin"
printf '#!/bin/sh\\necho "$@"\\n' > "$3/bin/pip"
chmod +x "$3/bin/pip"
"""


@pytest.mark.parametrize(
    ("is_fork", "taken"),
    [
        (True, ["--constraint", "requirements.txt", "."]),
        (False, ["-r", project_files.REQUIREMENTS_FILE]),
    ],
)
def test_a_fork_is_installed_itself_and_elsewhere_what_the_site_names(
    is_fork: bool, taken: list[str], tmp_path: Path
) -> None:
    if is_fork:
        (tmp_path / "job_creator").mkdir()
    python = tmp_path / "programs" / "python3"
    python.parent.mkdir()
    python.write_text(PYTHON)
    python.chmod(0o755)
    script = render("install_job_creator.sh.j2", command="a-command-of-nobody")
    places = {"PATH": f"{python.parent}:/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=places, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-len(taken) :] == taken
