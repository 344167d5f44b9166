"""Proof that what was acknowledged arrives: real processes, real clients, real kills.

`spans` numbered spans, `clients` and `sink` the processes at both ends, `processes` how they are
started and ended, `books` what became of each span; `kills`, `destinations`, `disk` and `assembly`
what is done to them. `python -m tests.crash` is the long form, the tests are the short one.
"""
