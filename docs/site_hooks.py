"""What makes a site of pages that are also read in the repository: its README is the first page, and links follow it.

Source: MkDocs documentation, "Configuration" (`hooks`), "Plugins" (events).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

BESIDE = {"README.md": "index.md", "CHANGELOG.md": "CHANGELOG.md", "CONTRIBUTING.md": "CONTRIBUTING.md"}
"""Pages that stand beside the folder of all others, and what they are called in the site."""
LINK = re.compile(r"(?P<start>\]\()(?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages that stand beside the folder."""
    from mkdocs.structure.files import File

    root = Path(config.config_file_path).parent
    for name, page in BESIDE.items():
        text = (root / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=LINK.sub(_within, text)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to those pages, from all others."""
    return LINK.sub(_within, markdown)


def _within(found: re.Match[str]) -> str:
    target = found["target"].removeprefix("../").removeprefix("docs/")
    return f"{found['start']}{BESIDE.get(target, target)}{found['anchor'] or ''})"
