"""A configuration and a file of trials in a directory, and what came of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from textwrap import dedent

from genai_collector.components import all_factories
from genai_collector.configfile import load
from genai_collector.trials import Result, read_trials, try_all

CONFIG = """
receivers: {otlp: {}}
processors:
  filter: {traces: {span: ['name == "noise"']}}
  attributes: {actions: [{key: team, action: upsert, value: payments}]}
exporters: {debug: {}}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [filter, attributes], exporters: [debug]}
    logs: {receivers: [otlp], processors: [attributes], exporters: [debug]}
    metrics: {receivers: [otlp], processors: [attributes], exporters: [debug]}
"""


def write(directory: Path, tests: str, config: str = CONFIG) -> Path:
    """The file of trials; its configuration stands beside it."""
    (directory / "config.yaml").write_text(dedent(config))
    file = directory / "tests.yaml"
    file.write_text("config: [config.yaml]\ntests:\n" + dedent(tests))
    return file


def tried(file: Path) -> list[Result]:
    """Every trial of a file. Raises ConfigError."""

    async def collect() -> list[Result]:
        trials = read_trials(file)
        config = load(trials.sources(), [], all_factories(), trials.content.environment).config
        return [one async for one in try_all(trials, config)]

    return asyncio.run(collect())
