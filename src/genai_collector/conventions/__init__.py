"""Attribute vocabularies: one file per vocabulary found inside spans. Pure functions.

read_observation(span) -> Observation       one typed reading of a span (reading.py)
read_log_content(records) -> Content        the content that one call's GenAI events carry

vocabulary.py    what a vocabulary is
semconv.py       canonical names and values     generations.py   the conventions' own history
openlit.py, openinference.py, langfuse_sdk.py, litellm.py, traceloop.py, vercel_ai.py,
pydantic_ai.py, mlflow.py, livekit.py, google_adk.py, genkit.py     one vocabulary each
messages.py      every message shape, to the conventions' and to OpenAI's      parts.py
content.py       where the conventions have kept content     coerce.py   single values
facts.py         facts that come several in one value
targets.py       the conventions that can be written     message_forms.py   their messages
writing.py       what to change on a span                  removing.py   what may go from it
"""

from genai_collector.conventions.content import read_log_content
from genai_collector.conventions.observation import (
    Content,
    Cost,
    Message,
    Observation,
    ObservationKind,
    Part,
    Usage,
)
from genai_collector.conventions.reading import VOCABULARIES, read_observation

__all__ = [
    "VOCABULARIES",
    "Content",
    "Cost",
    "Message",
    "Observation",
    "ObservationKind",
    "Part",
    "Usage",
    "read_log_content",
    "read_observation",
]
