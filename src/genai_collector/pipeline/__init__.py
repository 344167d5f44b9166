"""How it runs: from a checked configuration to a service that starts, stops and counts.

build.py     CollectorConfig -> Service, pure construction
pipeline.py  one pipeline: processors, then the plan which exporters get what
placing.py   which queue gets which part of a batch
fanout.py    what a receiver sends to: all its pipelines, all or nothing
observe.py   the collector's own metrics as configured
service.py   order of starting and stopping, signals, the last lines
"""

from genai_collector.pipeline.build import build
from genai_collector.pipeline.service import Service, StartError

__all__ = ["Service", "StartError", "build"]
