"""Attacks on a running collector: what is sent, what is answered, what it costs.

`target` starts the collector and measures it, `connections`, `bodies` and `calls` are the attacks,
`table` runs them and prints what happened. `make attacks` runs the long form.
"""
