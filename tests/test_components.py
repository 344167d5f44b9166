"""The list of components, and plugins that come by entry point."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from genai_collector.components import BUILT_IN, GROUPS, Plugins, all_factories
from genai_collector.configfile import FactorySet, load
from genai_collector.errors import ConfigError

GROUP = GROUPS["exporters"]
GOOD = EntryPoint("printer", "genai_collector.exporters.debug:FACTORY", GROUP)
TAKEN = EntryPoint("debug", "genai_collector.exporters.file:FACTORY", GROUP)
BROKEN = EntryPoint("broken", "no_such_module:FACTORY", GROUP)
EMPTY = EntryPoint("empty", "genai_collector.exporters.debug:NOTHING", GROUP)
WRONG = EntryPoint("wrong", "genai_collector.receivers.otlp:FACTORY", GROUP)


def _plugins(*plugins: EntryPoint) -> Plugins:
    return Plugins("exporters", FactorySet.of(BUILT_IN).exporters, plugins)


def test_built_in_components_are_sorted() -> None:
    """The list is in order of kind and name, each once."""
    keys = [(factory.kind, factory.name) for factory in BUILT_IN]

    assert keys == sorted(set(keys))


def test_aliases() -> None:
    """otelcol's spellings, old and new, mean the same exporter."""
    exporters = all_factories().exporters

    assert exporters["otlp"] is exporters["otlp_grpc"]
    assert exporters["otlphttp"] is exporters["otlp_http"]


def test_a_plugin_is_used_under_its_entry_point_s_name() -> None:
    """It stands beside the built-in ones and is loaded when looked up."""
    known = _plugins(GOOD)

    assert "printer" in known
    assert known["printer"].name == "debug"
    assert len(known) == len(FactorySet.of(BUILT_IN).exporters) + 1
    assert sorted(known) == sorted([*FactorySet.of(BUILT_IN).exporters, "printer"])


def test_a_plugin_cannot_take_over_a_built_in_type() -> None:
    """What `debug` means does not depend on what is installed."""
    assert _plugins(TAKEN)["debug"].name == "debug"


BAD = {
    "broken": (
        BROKEN,
        (
            "exporter 'broken' of an unknown distribution cannot be loaded "
            "(no_such_module:FACTORY): ModuleNotFoundError: No module named 'no_such_module'"
        ),
    ),
    "empty": (
        EMPTY,
        (
            "exporter 'empty' of an unknown distribution cannot be loaded "
            "(genai_collector.exporters.debug:NOTHING): AttributeError: module "
            "'genai_collector.exporters.debug' has no attribute 'NOTHING'"
        ),
    ),
    "wrong": (
        WRONG,
        (
            "exporter 'wrong' of an unknown distribution: "
            "genai_collector.receivers.otlp:FACTORY is no exporter factory"
        ),
    ),
}


@pytest.mark.parametrize(("plugin", "message"), BAD.values(), ids=BAD)
def test_a_broken_plugin_is_named(plugin: EntryPoint, message: str) -> None:
    """Who uses it is told what is wrong; who does not is not disturbed."""
    known = _plugins(plugin, GOOD)

    assert known["printer"].kind == "exporter"
    with pytest.raises(ConfigError) as caught:
        _ = known[plugin.name]
    assert str(caught.value) == message


def test_a_broken_plugin_is_a_fault_of_the_line_that_uses_it() -> None:
    """In a configuration the fault has the plugin's place."""
    factories = FactorySet(receivers=all_factories().receivers, exporters=_plugins(BROKEN, GOOD))
    text = (
        "receivers: {otlp: }\nexporters: {printer: , broken: }\n"
        "service: {pipelines: {traces: {receivers: [otlp], exporters: [printer, broken]}}}\n"
    )

    with pytest.raises(ConfigError) as caught:
        load([f"yaml:{text}"], [], factories, {})

    assert [str(fault) for fault in caught.value.faults] == [
        f"inline yaml:2:24: exporters.broken: {BAD['broken'][1]}"
    ]


def test_the_distribution_of_a_plugin_is_named() -> None:
    """An installed plugin's distribution and version are in the message."""
    from importlib.metadata import distribution

    from genai_collector.components import distribution as name_of

    own = next(iter(distribution("genai-collector").entry_points))

    assert name_of(own).startswith("genai-collector ")
