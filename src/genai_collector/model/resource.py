"""Who sent it (Resource) and which library recorded it (Scope).

Both are shared by every item they describe, and items are regrouped by *identity* when they are
encoded. So treat them as frozen: make a new one and set it on the items.
"""

from __future__ import annotations

from genai_collector.model.value import Attributes


class EntityRef:
    """A reference from a resource to an entity (OTLP `EntityRef`)."""

    __slots__ = ("description_keys", "id_keys", "schema_url", "type")

    def __init__(
        self, type: str, id_keys: list[str], description_keys: list[str], schema_url: str = ""
    ) -> None:
        self.type = type
        self.id_keys = id_keys
        self.description_keys = description_keys
        self.schema_url = schema_url


class Resource:
    """OTLP `Resource` together with the schema URL of its ResourceSpans/Metrics/Logs."""

    __slots__ = ("attributes", "dropped_attributes_count", "entity_refs", "schema_url")

    def __init__(
        self,
        attributes: Attributes | None = None,
        dropped_attributes_count: int = 0,
        entity_refs: list[EntityRef] | None = None,
        schema_url: str = "",
    ) -> None:
        self.attributes: Attributes = {} if attributes is None else attributes
        self.dropped_attributes_count = dropped_attributes_count
        self.entity_refs: list[EntityRef] = [] if entity_refs is None else entity_refs
        self.schema_url = schema_url

    def replace_attributes(self, attributes: Attributes) -> Resource:
        """The same resource with other attributes."""
        return Resource(
            attributes, self.dropped_attributes_count, self.entity_refs, self.schema_url
        )


class Scope:
    """OTLP `InstrumentationScope` together with the schema URL of its ScopeSpans/Metrics/Logs."""

    __slots__ = ("attributes", "dropped_attributes_count", "name", "schema_url", "version")

    def __init__(
        self,
        name: str = "",
        version: str = "",
        attributes: Attributes | None = None,
        dropped_attributes_count: int = 0,
        schema_url: str = "",
    ) -> None:
        self.name = name
        self.version = version
        self.attributes: Attributes = {} if attributes is None else attributes
        self.dropped_attributes_count = dropped_attributes_count
        self.schema_url = schema_url
