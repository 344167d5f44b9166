"""How it runs: from a checked configuration to a service that starts, stops and counts.

build.py     CollectorConfig -> Service, pure construction
pipeline.py  one pipeline: processors, then the plan which exporters get what
placing.py   which queue gets which part of a batch
fanout.py    what a receiver sends to: all its pipelines, all or nothing
observe.py   the collector's own metrics as configured
service.py   one graph: order of starting and stopping, the last lines
heritage.py  what a new graph takes over from the one before
host.py      the process: signals, and one graph after another
watch.py     files that change
tuning.py    settings of interpreter and allocator
"""

from genai_collector.pipeline.build import build
from genai_collector.pipeline.host import Host, place_of
from genai_collector.pipeline.service import Service, StartError
from genai_collector.pipeline.watch import FileWatch

__all__ = ["FileWatch", "Host", "Service", "StartError", "build", "place_of"]
