"""The main job on real input: usage in over HTTP, exact records out at the marketplace."""
