"""The local cloud that is kept running between commands: `make up`, `make down`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass

from sandbox.local_cloud.cloud import LocalCloud
from sandbox.local_cloud.emulator import PROJECT
from sandbox.local_cloud.processes import end_group, start, wait_for
from sandbox.local_cloud.progress import Report

FOLDER = PROJECT / ".local" / "up"
_NOTE = FOLDER / "running.json"
_ADMIN_KEY = FOLDER / "admin-key"


@dataclass(frozen=True, slots=True)
class KeptCloud:
    """What runs, and how to reach it.

    Attributes:
        api_url: the API, to which ``/v1/...`` is added.
        aws_url: the emulated AWS.
        marketplace_url: the marketplace sandbox.
        admin_key: an API key that sets everything up; it makes the keys that send usage.
        groups: the process groups by the name of their program.
    """

    api_url: str
    aws_url: str
    marketplace_url: str
    admin_key: str
    groups: dict[str, int]


def running() -> KeptCloud | None:
    """What `up` has left running, if it still does."""
    if not _NOTE.exists():
        return None
    kept = KeptCloud(**json.loads(_NOTE.read_text()), admin_key=_ADMIN_KEY.read_text())
    return kept if all(_is_ours(name, pid) for name, pid in kept.groups.items()) else None


def up(*, port: int, marketplace_port: int, report: Report) -> KeptCloud:
    """Start everything, or deploy again into what runs already, and leave it running.

    Raises:
        ProgramError: if something does not start or deploy; nothing is left running then.
    """
    kept = running()
    if kept is None:
        down(report=report)
    marketplace_url = f"http://127.0.0.1:{marketplace_port}"
    cloud = LocalCloud(
        FOLDER, marketplace_endpoint=marketplace_url, port=port, persist=True, report=report
    )
    groups = dict(kept.groups) if kept else {}
    try:
        if kept is None:
            groups["sandbox.marketplaces"] = _start_marketplace(marketplace_port)
            groups["ministack"] = cloud.start_detached()
        cloud.deploy()
        if not _ADMIN_KEY.exists():
            _ADMIN_KEY.touch(mode=0o600)
            _ADMIN_KEY.write_text(cloud.create_admin_key("local"))
    except BaseException:
        for group in groups.values():
            end_group(group)
        _NOTE.unlink(missing_ok=True)
        raise
    kept = KeptCloud(
        api_url=cloud.api_url,
        aws_url=cloud.endpoint,
        marketplace_url=marketplace_url,
        admin_key=_ADMIN_KEY.read_text(),
        groups=groups,
    )
    note = asdict(kept)
    del note["admin_key"]
    _NOTE.write_text(json.dumps(note))
    return kept


def down(*, report: Report) -> None:
    """End what `up` started; what it stored stays for the next `up`."""
    if not _NOTE.exists():
        return
    for name, pid in json.loads(_NOTE.read_text())["groups"].items():
        if _is_ours(name, pid):
            report(f"ending {name} ({pid})")
            end_group(pid)
    shutil.rmtree(FOLDER / "tmp", ignore_errors=True)
    _NOTE.unlink()


def _start_marketplace(port: int) -> int:
    url = f"http://127.0.0.1:{port}"
    log = FOLDER / "marketplaces.log"
    process = start(
        [
            sys.executable,
            "-m",
            "sandbox.marketplaces",
            f"--port={port}",
            f"--state={FOLDER / 'marketplaces.json'}",
        ],
        environment={"PATH": "/usr/bin:/bin"},
        folder=PROJECT,
        log=log,
    )
    wait_for(f"{url}/_sandbox/health", process, log=log, seconds=20)
    return process.pid


def _is_ours(program: str, pid: int) -> bool:
    """Whether this process id still is that program, and not another that got the number since."""
    found = subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return program in found.stdout
