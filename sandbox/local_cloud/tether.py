"""Runs MiniStack for as long as its launcher lives, however the launcher ends.

Started with the number of a pipe's reading end. The launcher holds the other end; when the launcher
is gone the kernel closes it, and this ends its own process group, Lambda workers included.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def end_with(descriptor: int) -> None:
    """Block until the pipe is closed, then end this process group."""
    os.read(descriptor, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(int(sys.argv[1]),), daemon=True).start()
    sys.argv = ["ministack"]
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
