"""Attribute vocabularies: one file per vocabulary found inside spans. Pure functions.

read_observation(span) -> Observation       one typed reading of a span (reading.py)
read_log_content(records) -> Content        the content that one call's GenAI events carry

vocabulary.py    what a vocabulary is
semconv.py       canonical names and values     generations.py   the conventions' own history
openlit.py       OpenLIT 1.34 and 1.45
messages.py      every message shape, to the conventions' and to OpenAI's      parts.py
content.py       where the conventions have kept content     coerce.py   single values
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
