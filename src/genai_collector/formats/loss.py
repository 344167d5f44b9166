"""What a converter says about data that has no home in the target format."""

from __future__ import annotations

from typing import NamedTuple


class Loss(NamedTuple):
    """One field that the target cannot hold."""

    where: str
    """The item, for a human: `span 0123456789abcdef`."""
    field: str
    """The field, in the words of the source format."""
    why: str
