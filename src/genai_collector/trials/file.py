"""The file that says what to try: YAML, with the same faults, places and hints as a configuration.

config: [config.yaml]            # beside this file; --config wins
environment: {API_KEY: none}     # what ${env:...} finds; wins over the real one
tests:
  - name: health checks go
    pipeline: traces
    input:  [{name: GET /healthz}, {name: chat}]
    expect: [{name: chat}]
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError, model_validator

from genai_collector.component import Config
from genai_collector.configfile.reader import parse
from genai_collector.configfile.sources import file_of, read_text
from genai_collector.configfile.tree import MapNode, fault_at, place_of, plain
from genai_collector.configfile.tree import Path as TreePath
from genai_collector.configfile.wording import explain
from genai_collector.errors import ConfigError, Fault

_MAX_ITEMS: Final = 10_000


class InputFile(Config):
    """Input out of a file."""

    file: str
    """Its path, from this file."""
    format: Literal["langfuse", "litellm", "noveum", "otlp", "otlp_proto"] = "otlp"
    """What it holds, as `convert --from` has it."""


class Trial(Config):
    """One batch through one pipeline."""

    name: str
    """What must hold."""
    pipeline: str
    """The pipeline's id in the configuration."""
    input: list[dict[str, Any]] | InputFile
    """The items of the batch, or where they are."""
    expect: list[dict[str, Any]] | None = Field(default=None, max_length=_MAX_ITEMS)
    """The items that come out, in order; of each, what is written is compared."""
    exact: bool = False
    """Attributes, resource and scope have no more than is written."""
    count: int | None = Field(default=None, ge=0)
    """How many items come out."""
    dropped: dict[str, int] = Field(default_factory=dict)
    """How many items a processor drops, by its id."""

    @model_validator(mode="after")
    def _says_something(self) -> Trial:
        if self.expect is None and self.count is None and not self.dropped:
            raise ValueError("says nothing of what must come out; write expect, count or dropped")
        return self


class TrialsFile(Config):
    """The whole file."""

    config: list[str] = Field(default_factory=list)
    """Configuration sources, as `--config` takes them; paths from this file."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables for the configuration, before the real ones."""
    tests: list[Trial] = Field(min_length=1)
    """What to try."""


@dataclass(frozen=True, slots=True)
class Trials:
    """A file that was read, and where its values stand."""

    path: Path
    content: TrialsFile
    root: MapNode

    def sources(self) -> list[str]:
        """The configuration's sources, from here."""
        return [self._from_here(source) for source in self.content.config]

    def beside(self, name: str) -> Path:
        """The path of a file that is named in this one."""
        return self.path.parent / name

    def fault(self, path: TreePath, message: str) -> Fault:
        """A fault at the place of a value."""
        return fault_at(place_of(self.root, path, value=True), path, message)

    def _from_here(self, source: str) -> str:
        path = file_of(source)
        return source if path is None else str(self.beside(path))


def read_trials(path: Path) -> Trials:
    """Raises ConfigError with every fault found."""
    name = str(path)
    text, problem = read_text(name)
    if text is None:
        raise ConfigError(faults=[Fault(name, 0, 0, "", problem)])
    node, faults = parse(text, name)
    if faults:
        raise ConfigError(faults=faults)
    if not isinstance(node, MapNode):
        raise ConfigError(faults=[Fault(name, 0, 0, "", "expected a mapping with tests")])
    try:
        content = TrialsFile.model_validate(plain(node))
    except ValidationError as error:
        raise ConfigError(faults=explain(error, TrialsFile, node, ())) from error
    return Trials(path, content, node)
