"""Pipelines tried on examples: what goes in, what must come out, and what each processor did.

file     the YAML that says what to try
written  items as people write them, to items and back
compare  what was expected against what came
running  a pipeline's processors, without its receivers, exporters and queues
"""

from genai_collector.trials.file import Trial, Trials, TrialsFile, read_trials
from genai_collector.trials.running import Result, Step, try_all

__all__ = ["Result", "Step", "Trial", "Trials", "TrialsFile", "read_trials", "try_all"]
