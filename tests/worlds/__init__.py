"""The whole pipeline in one process over fakes, and strict marketplaces to report to."""
