"""How large the sources are that a mirror lacks, as their servers say."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock as Mutex
from typing import Final
from urllib.parse import urlsplit

from foundation.doors.http import HttpSession, NoAnswer, Patience
from foundation.stores.schemes import FOLDER, WEB_SERVER, kind_of, path_of
from job_creator.mirrors.needs.comparison import logger
from job_creator.mirrors.needs.plan import MirrorItem, Status

_PATIENCE: Final = Patience(connect=3.0, read=10.0, attempts=1)
_SIZE_WORKERS: Final = 16


def remote_sizes(items: Collection[MirrorItem]) -> dict[str, int]:
    """The sizes in bytes of what is missing, by path, as far as the servers of its URLs tell.

    A server that cannot be reached is asked once.
    """
    session = HttpSession(_PATIENCE, _SIZE_WORKERS, finds_logins=True)
    silent: set[str] = set()
    mutex = Mutex()

    def size(item: MirrorItem) -> int | None:
        for url in item.source.urls if item.source else ():
            if kind_of(url) is FOLDER:
                with suppress(OSError):
                    return Path(path_of(url)).stat().st_size
            host = urlsplit(url).hostname or ""
            if kind_of(url) is not WEB_SERVER or host in silent:
                continue
            try:
                answer = session.request("HEAD", url)
            except NoAnswer:
                with mutex:
                    silent.add(host)
                continue
            length = answer.headers.get("Content-Length", "")
            if answer.ok and length.isdigit():
                return int(length)
        return None

    missing = [item for item in items if item.status == Status.MISSING and item.source]
    with ThreadPoolExecutor(_SIZE_WORKERS) as pool:
        sizes = dict(zip((item.path for item in missing), pool.map(size, missing), strict=True))
    if silent:
        logger.info("could not be asked for sizes: %s", ", ".join(sorted(silent)))
    return {path: found for path, found in sizes.items() if found is not None}
