"""Input and output: the precedence of sources, and each source by itself."""

from __future__ import annotations

import itertools

import pytest

from genai_collector.formats.langfuse.values import JSON
from genai_collector.model import Attributes
from tests.formats.langfuse.making import observation, span, trace

PAIRS = [
    ("langfuse.observation.input", "langfuse.observation.output"),
    ("gcp.vertex.agent.llm_request", "gcp.vertex.agent.llm_response"),
    ("prompt", "all_messages_events"),
    ("lk.input_text", "lk.response.text"),
    ("mlflow.spanInputs", "mlflow.spanOutputs"),
    ("traceloop.entity.input", "traceloop.entity.output"),
    ("input.value", "output.value"),
    ("input", "output"),
    ("tool_arguments", "tool_response"),
    ("gen_ai.prompt", "gen_ai.completion"),
    ("llm.input_messages", "llm.output_messages"),
    ("gen_ai.input.messages", "gen_ai.output.messages"),
    ("gen_ai.tool.call.arguments", "gen_ai.tool.call.result"),
]


def content(
    attributes: Attributes | None = None,
    scope: str = "x",
    events: list[tuple[str, Attributes]] | None = None,
) -> tuple[JSON, JSON]:
    """Input and output of the observation."""
    body = observation(span(attributes, scope=scope, events=events or []))[1]
    return body.get("input"), body.get("output")


@pytest.mark.parametrize(
    ("stronger", "weaker"), list(itertools.pairwise(PAIRS)), ids=lambda pair: pair[0]
)
def test_precedence(stronger: tuple[str, str], weaker: tuple[str, str]) -> None:
    """The first source that has any of the two gives both; nothing is mixed."""
    both: Attributes = {weaker[0]: "WI", weaker[1]: "WO", stronger[0]: "SI", stronger[1]: "SO"}
    assert content(both) == ("SI", "SO")
    del both[stronger[1]]
    given, answer = content(both)
    assert given == "SI"
    assert answer in (None, {})
    assert content({weaker[0]: "WI", weaker[1]: "WO"}) == ("WI", "WO")


def test_nothing_said() -> None:
    """Without content there is neither input nor output."""
    assert content({"a": "b"}) == (None, None)


def test_content_of_the_trace() -> None:
    """The trace's own input comes first, and only for the trace."""
    made = span({"langfuse.trace.input": "T", "langfuse.observation.input": "O"})
    assert (trace(made)["input"], observation(made)[1]["input"]) == ("T", "O")


def test_genkit() -> None:
    """Model spans are unwrapped, others taken whole; nothing else is looked at."""
    wrapped: Attributes = {
        "genkit:input": '{"messages": [1]}',
        "genkit:output": '{"message": {"a": 1}}',
        "input": "no",
    }
    assert content(wrapped, "genkit-tracer") == ([1], {"a": 1})
    assert content({"genkit:input": "text"}, "genkit-tracer") == ("text", None)
    assert content({"input": "no"}, "genkit-tracer") == (None, None)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"ai.prompt.messages": "M", "ai.prompt": "P", "ai.response.text": "T"}, ("M", "T")),
        ({"ai.prompt": "P", "ai.result.text": "R"}, ("P", "R")),
        ({"ai.toolCall.args": "A", "ai.toolCall.result": "R"}, ("A", "R")),
        (
            {"ai.response.text": "t", "ai.response.toolCalls": "[1]"},
            (None, '{"role":"assistant","content":"t","tool_calls":"[1]"}'),
        ),
        ({"ai.response.object": "O", "gen_ai.input.messages": "G"}, ("G", "O")),
    ],
)
def test_ai_sdk(attributes: Attributes, expected: tuple[JSON, JSON]) -> None:
    """The AI SDK's own attributes, gaps filled from the semantic conventions."""
    assert content(attributes, "ai") == expected


def test_flue_only_in_its_scope() -> None:
    """Flue's JSON is parsed, in its scope."""
    attributes: Attributes = {"flue.tool.arguments": '{"a": 1}', "flue.task.result": "text"}
    assert content(attributes, "@flue/opentelemetry") == ({"a": 1}, "text")
    assert content(attributes) == (None, None)


def test_details_event() -> None:
    """The event of the semantic conventions, with system instructions in front."""
    details: Attributes = {
        "gen_ai.input.messages": '[{"role":"user","content":"q"}]',
        "gen_ai.system_instructions": '[{"type":"text","content":"be"},{"content":"kind"}]',
        "gen_ai.output.messages": "O",
    }
    found = content(
        {"input": "no"}, events=[("gen_ai.client.inference.operation.details", details)]
    )
    assert found == ('[{"role":"system","content":"be\\nkind"},{"role":"user","content":"q"}]', "O")


def test_message_events() -> None:
    """One event per message; a single choice stands alone."""
    events: list[tuple[str, Attributes]] = [
        ("gen_ai.system.message", {"content": "s"}),
        ("gen_ai.user.message", {"content": "u"}),
        ("gen_ai.choice", {"index": 0, "message": "m"}),
        ("exception", {"exception.type": "E"}),
    ]
    given = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert content(events=events) == (given, {"index": 0, "message": "m"})
    second: Attributes = {"index": 1}
    two = [*events, ("gen_ai.choice", second)]
    assert content(events=two)[1] == [{"index": 0, "message": "m"}, {"index": 1}]


def test_content_events() -> None:
    """The oldest events are read by the same table; unknown attributes are the content."""
    events: list[tuple[str, Attributes]] = [
        ("gen_ai.content.prompt", {"gen_ai.prompt": "user: hi"}),
        ("gen_ai.content.completion", {"text": "ho"}),
    ]
    assert content(events=events) == ("user: hi", {"text": "ho"})
    assert content(events=events[1:]) == ({}, {"text": "ho"})


def test_vertex_placeholders() -> None:
    """`{}` means that the content is elsewhere."""
    attributes: Attributes = {
        "gcp.vertex.agent.llm_request": "{}",
        "gcp.vertex.agent.tool_call_args": "A",
        "gcp.vertex.agent.tool_response": "R",
    }
    assert content(attributes) == ("A", "R")


def test_logfire_events() -> None:
    """The choice is the output, everything else the input."""
    logged = '[{"event.name":"gen_ai.user.message","content":"u"},{"event.name":"gen_ai.choice"}]'
    assert content({"events": logged}) == (
        [{"event.name": "gen_ai.user.message", "content": "u"}],
        {"event.name": "gen_ai.choice"},
    )
    assert content({"events": "{", "input": "I"}) == ("I", None)


def test_pydantic_agent() -> None:
    """All messages and the final result, in its scope."""
    attributes: Attributes = {
        "pydantic_ai.all_messages": '[{"role":"system"}]',
        "gen_ai.system_instructions": "be kind",
        "final_result": "F",
    }
    assert content(attributes, "pydantic-ai") == ('[{"role":"system"}]', "F")
    assert content(attributes) == (None, None)


@pytest.mark.parametrize(
    ("messages", "instructions", "expected"),
    [
        ("no json", "x", "no json"),
        ('{"a":1}', "x", '{"a":1}'),
        ('[{"role":"user"}]', "plain", '[{"role":"system","content":"plain"},{"role":"user"}]'),
        ("[]", "[1,null]", '[{"role":"system","content":"1\\nnull"}]'),
        ("[]", '{"a":1}', '[{"role":"system","content":"[object Object]"}]'),
    ],
)
def test_system_instructions(messages: str, instructions: str, expected: str) -> None:
    """Put in front of a list of messages, in the form the messages have."""
    attributes: Attributes = {
        "gen_ai.input.messages": messages,
        "gen_ai.system_instructions": instructions,
    }
    assert content(attributes)[0] == expected
    del attributes["gen_ai.input.messages"]
    assert content(attributes) == (None, None)


@pytest.mark.parametrize(
    ("flat", "expected"),
    [
        ({"0.role": "u", "0.x": "hi", "1.a.b": 1}, [{"role": "u", "x": "hi"}, {"a": {"b": 1}}]),
        ({"role": "user", "tools.0.name": "t"}, {"role": "user", "tools": [{"name": "t"}]}),
        ({"1.x": 1}, [None, {"x": 1}]),
        ({"0.a": 1, "0.a.b": 2}, [{"a": 1}]),
        ({"0.a.b": 2, "0.a": 1}, [{"a": {"b": 2}}]),
        ({"0.a": 1, "name": "x"}, [{"a": 1}]),
        ({"__proto__.x": 1, "a..b": 2, "c": 3}, {"c": 3}),
        ({"20000.x": 1, "c": 3}, {"c": 3}),
        ({"0.x": 1, "9999.x": 2, "1.y.9000": 3, "1.z": 4}, 10_000),
        ({"07.x": 1}, {"07": {"x": 1}}),
        ({".".join("a" * 65): 1, "b": 2}, {"b": 2}),
    ],
)  # fmt: skip
def test_flattened_messages(flat: Attributes, expected: JSON) -> None:
    """Names are put together again, within bounds and without surprises."""
    given, answer = content({f"gen_ai.prompt.{name}": value for name, value in flat.items()})
    if isinstance(expected, int):
        assert isinstance(given, list)
        assert len(given) == expected
        assert given[1] == {"z": 4}
    else:
        assert given == expected
    assert answer == {}


@pytest.mark.parametrize(
    ("attributes", "given", "left"),
    [
        ({"gen_ai.tool.definitions": '[{"name":"f"}]'}, {"tools": [{"name": "f"}]}, {}),
        (
            {"ai.prompt.tools": ['{"type":"provider"}'], "input": "hi"},
            {"prompt": "hi", "tools": [{"type": "provider"}]},
            {},
        ),
        (
            {"gen_ai.tool.definitions": '[{"name":"f"}]', "input": '[{"role":"user"}]'},
            {"messages": [{"role": "user"}], "tools": [{"name": "f"}]},
            {},
        ),
        (
            {"llm.tools.1.tool.json_schema": '{"name":"b"}', "llm.tools.0.tool.json_schema":
             '{"function":{"name":"a"}}', "input": '{"tools":[{"name":"b"}]}'},
            {"tools": [{"name": "b"}, {"function": {"name": "a"}}]},
            {},
        ),
        (
            {"model_request_parameters": '{"function_tools":[{"name":"f"}],"x":1}', "input": "5"},
            "5",
            {"model_request_parameters": '{"function_tools":[{"name":"f"}],"x":1}'},
        ),
        (
            {"model_request_parameters": '{"function_tools":[{"name":"f"}],"x":1}'},
            {"tools": [{"name": "f"}]},
            {"model_request_parameters": '{"x":1}'},
        ),
        (
            {"gen_ai.tool.definitions": '[{"type":"x"}]'},
            None,
            {"gen_ai.tool.definitions": '[{"type":"x"}]'},
        ),
    ],
)  # fmt: skip
def test_tool_definitions_move_into_the_input(
    attributes: Attributes, given: JSON, left: JSON
) -> None:
    """Definitions leave the metadata if they are tools and the input can take them."""
    body = observation(span(attributes))[1]
    assert body.get("input") == given
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    assert metadata.get("attributes", {}) == left
    shown = trace(span(attributes))["metadata"]
    assert isinstance(shown, dict)
    assert shown["attributes"] != {}
