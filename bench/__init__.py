"""Benchmarks: CPU per span as ratios inside one run. `make bench`, or `python -m bench --help`."""
