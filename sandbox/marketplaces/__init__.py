"""A sandbox of the marketplaces' metering APIs: strict, offline, with a clock one can turn.

It needs the standard library only. Read `README.md` for how to use it.
"""
