"""Builds the dependency layer from wheels with pip alone: no Docker, no compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsii
from aws_cdk import ILocalBundling


class WheelBundlingError(Exception):
    """pip could not install the pinned wheels; the message carries what pip said."""


def pip_install(requirements: Path, wheel_flags: tuple[str, ...], target: Path) -> list[str]:
    """The one pip command that fills a layer folder, reproducibly.

    ``--no-compile`` keeps the files the same whichever interpreter runs pip, and ``--no-deps``
    proves that the requirements file names everything.
    """
    return [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-compile",
        "--no-deps",
        "--only-binary=:all:",
        *wheel_flags,
        f"--requirement={requirements}",
        f"--target={target}",
    ]


@jsii.implements(ILocalBundling)
class WheelBundling:
    """Installs a requirements file as the ``python/`` folder of a layer."""

    def __init__(self, requirements: Path, wheel_flags: tuple[str, ...]) -> None:
        self._requirements = requirements
        self._wheel_flags = wheel_flags

    def try_bundle(self, output_dir: str, *struct: object, **options: object) -> bool:
        """Fill `output_dir`.

        The interface declares the bundling options as keywords, jsii passes them as one struct;
        neither is needed.

        Returns:
            True, always: False would make the CDK reach for Docker.

        Raises:
            WheelBundlingError: if pip fails.
        """
        command = pip_install(self._requirements, self._wheel_flags, Path(output_dir, "python"))
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise WheelBundlingError(f"{' '.join(command)} failed:\n{done.stderr}")
        return True
