"""Attribute values and attributes: every text, number and key in them, at any depth.

What does not change is the same object again, so that the caller knows what did.
"""

from __future__ import annotations

from genai_collector.model import Attributes, Value
from genai_collector.processors.redact.rules import KEY
from genai_collector.processors.redact.texts import Texts


class Values:
    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._keys = texts.rules.keys
        self._allowed_keys = texts.rules.allowed_keys
        self._removes = texts.rules.removes(KEY)

    def text(self, text: str) -> str:
        """A text of an item: a name, a message."""
        if not text:
            return text
        new = self._texts.change(text)
        return text if new is None else new

    def value(self, value: Value) -> Value:
        """Any value, of a log record's body too."""
        new: Value = None
        if isinstance(value, str):
            new = self._texts.change(value)
        elif isinstance(value, dict):
            return self.attributes(value)
        elif isinstance(value, list):
            items = [self.value(item) for item in value]
            same = all(new is old for new, old in zip(items, value, strict=True))
            return value if same else items
        elif isinstance(value, bytes):
            new = self._texts.change_bytes(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            new = self._texts.change_number(value)
        return value if new is None else new

    def attributes(self, attributes: Attributes) -> Attributes:
        """Attributes, or a mapping inside a value."""
        changed: Attributes | None = None
        for at, (key, value) in enumerate(attributes.items()):
            gone, new_key, new = self._member(key, value)
            same = not gone and new is value and new_key is key
            if changed is None:
                if same:
                    continue
                changed = dict(list(attributes.items())[:at])
            if not gone:
                changed[_free(new_key, changed) if new_key is not key else key] = new
        return attributes if changed is None else changed

    def _member(self, key: str, value: Value) -> tuple[bool, str, Value]:
        """Whether it goes, its key and its value."""
        if key in self._allowed_keys:
            return False, key, value
        if key in self._keys:
            masked = self._texts.under_secret_key(value)
            if masked is None:
                return False, key, value
            return self._removes, key, masked
        new_key = self._texts.change_key(key)
        return False, key if new_key is None else new_key, self.value(value)


def _free(key: str, taken: Attributes) -> str:
    """Keys that became the same are kept apart."""
    free, number = key, 1
    while free in taken:
        number += 1
        free = f"{key}~{number}"
    return free
