"""What the project promises to be fast or cheap, measured: `python -m benchmarks`."""
