"""GenAI Collector: the pipeline for generative-AI telemetry."""

__version__ = "0.1.0"
