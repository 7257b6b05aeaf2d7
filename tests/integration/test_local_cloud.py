"""What the local cloud starts, it ends: whatever happens to the launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.local_cloud import tether
from sandbox.local_cloud.processes import (
    ProgramError,
    alone,
    end,
    ending_on_signals,
    run,
    start,
    wait_for,
)
from sandbox.local_cloud.progress import progress

ENVIRONMENT = {"PATH": os.environ["PATH"]}

# Starts a child that ignores SIGTERM, writes both process ids, and sleeps.
WITH_A_STUBBORN_CHILD = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"])
with open(sys.argv[1] + ".new", "w") as note:
    note.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(60)
"""


def _until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _lives(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def test_ending_a_group_ends_children_that_do_not_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.local_cloud.processes._SECONDS_TO_END", 0.5)
    note = tmp_path / "note"
    process = start(
        [sys.executable, "-c", WITH_A_STUBBORN_CHILD, note],
        environment=ENVIRONMENT,
        folder=tmp_path,
        log=tmp_path / "log",
    )
    assert _until(note.exists)
    parent, child = (int(pid) for pid in note.read_text().split())

    end(process)

    assert parent == process.pid
    assert not _lives(parent)
    assert _until(lambda: not _lives(child))


def test_a_launcher_that_is_killed_takes_everything_along(tmp_path: Path) -> None:
    """The kernel closes the pipe of a killed process; closing it here is the same."""
    package = tmp_path / "ministack"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(WITH_A_STUBBORN_CHILD.replace("sys.argv[1]", "'note'"))
    note = tmp_path / "note"
    reading, writing = os.pipe()
    process = start(
        [sys.executable, "-P", tether.__file__, str(reading)],
        environment={**ENVIRONMENT, "PYTHONPATH": str(tmp_path)},
        folder=tmp_path,
        log=tmp_path / "log",
        descriptors=[reading],
    )
    os.close(reading)
    assert _until(note.exists), (tmp_path / "log").read_text()
    _, child = (int(pid) for pid in note.read_text().split())

    os.close(writing)

    assert process.wait(20) == -signal.SIGKILL
    assert _until(lambda: not _lives(child))


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of an earlier run\n")

    with pytest.raises(ProgramError, match=r"exited with 3:\nno such stack") as failure:
        run(
            [sys.executable, "-c", "print('no such stack'); raise SystemExit(3)"],
            environment=ENVIRONMENT,
            folder=tmp_path,
            log=log,
        )

    assert "earlier" not in str(failure.value)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_through_the_blocks_that_clean_up(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cleaned = []

    def be_told_to_end() -> None:
        with ending_on_signals():
            try:
                os.kill(os.getpid(), number)
                time.sleep(20)
            finally:
                cleaned.append(number)

    with pytest.raises(SystemExit) as leaving:
        be_told_to_end()

    assert leaving.value.code == 128 + number
    assert cleaned == [number]
    assert signal.getsignal(number) is before


def test_a_server_that_ends_instead_of_answering_is_not_waited_for(tmp_path: Path) -> None:
    process = start(
        [sys.executable, "-c", "print('port is taken'); raise SystemExit(7)"],
        environment=ENVIRONMENT,
        folder=tmp_path,
        log=tmp_path / "log",
    )

    with pytest.raises(ProgramError, match="ended with 7:\nport is taken"):
        wait_for("http://127.0.0.1:9/", process, log=tmp_path / "log", seconds=20)


def test_two_launchers_do_not_install_at_once(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import sys; from pathlib import Path; from sandbox.local_cloud.processes import alone\n"
        "with alone(Path(sys.argv[1])): Path(sys.argv[2]).touch()"
    )
    entered = tmp_path / "entered"
    with alone(lock):
        other = subprocess.Popen([sys.executable, "-c", code, str(lock), str(entered)])
        time.sleep(0.5)
        assert not entered.exists()

    assert other.wait(20) == 0
    assert entered.exists()


def test_a_long_step_says_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.local_cloud.progress._SECONDS_BETWEEN_LINES", 0.05)
    said: list[str] = []

    with progress("cdk deploy", said.append):
        assert _until(lambda: len(said) >= 3)

    assert said[:2] == ["cdk deploy …", "cdk deploy … 0 s"]
    assert said[-1].startswith("cdk deploy: done in 0.")
