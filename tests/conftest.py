"""For all tests: a slow machine is no failure of a property, and the same code gets the same answer.

`make test` draws the same examples every time, so that what it says is about the change. New ones:
`HYPOTHESIS_PROFILE=searching make test`, and `make faults`.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("searching", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
