"""normalize: one vocabulary for all GenAI spans, by default today's OpenTelemetry conventions.

What is understood and how it is mapped is in docs/vocabularies.md. Other spans pass untouched, and
a batch in which nothing changes stays the bytes it came in.
"""

from __future__ import annotations

from typing import Final, Literal

from genai_collector.component import TRACES, Config, Context, ProcessorFactory
from genai_collector.conventions.targets import TARGETS
from genai_collector.conventions.writing import plan_change
from genai_collector.model import Batch, Signal


class NormalizeConfig(Config):
    """Writes what any understood vocabulary says under the names of today's GenAI conventions.

    A canonical attribute that is already there and readable is kept; only its spelling is repaired
    (`"0.2"` becomes 0.2, `xai` becomes `x_ai`, `acompletion` becomes `chat`). Token counts and cost
    never change their value. What cannot be mapped stays as it is.
    """

    target: Literal["semconv", "semconv_1_36", "openinference"] = "semconv"
    """The conventions to write: today's; those of v1.36, with `gen_ai.system` and one span event
    per message; or OpenInference. What a target has no name for is written under today's."""

    remove_originals: bool = False
    """Remove an attribute or event once its information stands under the target's name, and values
    that only say "not set" (`max_tokens: -1`, an empty seed or user). By default both stay; only
    other names under `gen_ai.usage.` always go, because backends add up what stands there."""

    overwrite: bool = False
    """Where another vocabulary disagrees with a canonical attribute, believe the other one. By
    default the canonical attribute wins, because somebody put it there on purpose."""

    rename_spans: bool = False
    """Name spans as the conventions do: `{operation} {model}`, `execute_tool {tool}`,
    `invoke_agent {agent}`. Spans without such a target keep their name."""

    content: bool = True
    """Convert messages too: from span events, indexed attributes or other shapes to
    `gen_ai.input.messages`, `gen_ai.output.messages` and `gen_ai.system_instructions`."""


class Normalize:
    def __init__(self, config: NormalizeConfig, _context: Context) -> None:
        self._config = config
        self._target = TARGETS[config.target]

    def process(self, batch: Batch, /) -> Batch:
        """Changes GenAI spans in place. Deterministic; doing it twice is doing it once."""
        if batch.signal is not Signal.TRACES:
            return batch
        config = self._config
        changes = []
        for at, span in enumerate(batch.view_spans()):
            change = plan_change(
                span,
                target=self._target,
                content=config.content,
                overwrite=config.overwrite,
                remove_originals=config.remove_originals,
                rename=config.rename_spans,
            )
            if change is not None:
                changes.append((at, change))
        if changes:
            # Only now is the encoded form given up.
            spans = batch.spans
            for at, change in changes:
                change.apply(spans[at])
        return batch


FACTORY: Final = ProcessorFactory("normalize", NormalizeConfig, Normalize, signals=TRACES)
