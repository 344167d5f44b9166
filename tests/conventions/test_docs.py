"""docs/vocabularies.md is complete."""

from __future__ import annotations

import pytest

from genai_collector.conventions import VOCABULARIES
from genai_collector.conventions import semconv as s
from genai_collector.conventions.reading import KINDS
from tests.support.captures import ROOT

PAGE = (ROOT / "docs" / "vocabularies.md").read_text()


@pytest.mark.parametrize("vocabulary", VOCABULARIES, ids=lambda v: v.name)
def test_rows_are_documented(vocabulary: object) -> None:
    """Every row of every vocabulary stands in the page, with the field that it says."""
    rows = next(v.rows for v in VOCABULARIES if v is vocabulary)
    for row in rows:
        assert f"| `{row.key}` | `{row.field}` |" in PAGE


def test_values_are_documented() -> None:
    """Every alias of a value, and every kind, stands in the page."""
    for aliases in (s.PROVIDERS, s.OPERATIONS, s.COPIED):
        for old, new in aliases.items():
            assert f"| `{old}` | `{new}` |" in PAGE
    for operation, kind in KINDS.items():
        assert f"| `{operation}` | {kind} |" in PAGE
