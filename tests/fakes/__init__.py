"""In-memory ports. Each passes the same contract suite as the store it stands for."""
