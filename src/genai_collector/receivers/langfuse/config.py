"""Options of the `langfuse` receiver."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from genai_collector.component import ByteSize, Config, Duration
from genai_collector.transport.http_server import HttpServerConfig


class ProjectConfig(Config):
    """A key pair that may send, and the name under which its data travels."""

    name: str = Field(min_length=1)
    """Put on everything the pair sends, as resource attribute `langfuse.project.name`."""
    public_key: str = Field(min_length=1)
    """The SDK's public key."""
    secret_key: SecretStr
    """The SDK's secret key."""


class AssemblyConfig(Config):
    """How create and update events become spans."""

    settle_time: Duration = Field(default=2.0, ge=0)
    """Time between an observation's end and its span, for updates that trail behind."""
    max_wait: Duration = Field(default=60.0, gt=0)
    """Time without any event of its trace after which an observation becomes a span as it is."""
    max_pending_bytes: ByteSize = Field(default=64 * 1024 * 1024, gt=0)
    """Events that may wait, in bytes of JSON; beyond, the oldest trace is emitted early. As much
    again may wait for pipelines that refuse; beyond that, requests are refused with 503."""
    remembered_ids: int = Field(default=100_000, gt=0)
    """How many event ids (to drop what is sent twice) and how many emitted observations (to know
    a late update) are remembered."""
    storage: str = ""
    """An extension such as `file_storage`: events are on disk before their sender is answered, and
    stay there until they are in the pipelines. Without one, what waits dies with the process."""


class LangfuseConfig(HttpServerConfig):
    """The `langfuse` receiver."""

    projects: list[ProjectConfig] = Field(default_factory=list)
    """Key pairs that may send. Without any, every client may."""
    assembly: AssemblyConfig = AssemblyConfig()
    """How create and update events become spans."""

    @field_validator("projects")
    @classmethod
    def _are_distinct(cls, projects: list[ProjectConfig]) -> list[ProjectConfig]:
        keys = [project.public_key for project in projects]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"public_key {', '.join(twice)} is given twice")
        return projects

    def authenticates(self) -> bool:
        """Whether strangers are turned away: those who have no key, either."""
        return bool(self.projects) or super().authenticates()
