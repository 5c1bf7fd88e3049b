"""The strict reader of event streams that load tests use."""

import pytest

from loadtests.sse import BrokenAnswer, error_code, texts

HELLO = 'data: {"choices":[{"delta":{"content":"Hello"}}]}'
ROLE = 'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}'
END = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}'
USAGE = 'data: {"choices":[],"usage":{"completion_tokens":1}}'
DONE = "data: [DONE]"


def test_every_event_gives_its_text() -> None:
    lines = [ROLE, "", HELLO, "", ": a comment", END, "", USAGE, "", DONE, ""]
    assert list(texts(lines)) == ["", "Hello", "", ""]


def test_text_before_a_fault_is_given() -> None:
    stream = texts([HELLO])
    assert next(stream) == "Hello"
    with pytest.raises(BrokenAnswer, match=r"ended without \[DONE\]"):
        next(stream)


def test_a_stream_that_goes_on_after_done_is_broken() -> None:
    with pytest.raises(BrokenAnswer, match="goes on after"):
        list(texts([DONE, HELLO]))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            'data: {"error":{"code":"engine_gone","type":"server_error"}}',
            "error event: engine_gone",
        ),
        ('data: {"error":"engine gone"}', "error event: no error object"),
        ("data: {", "an event is not JSON"),
        ("data: []", "an event is not an object"),
    ],
)
def test_what_is_no_chunk_is_named(line: str, fault: str) -> None:
    with pytest.raises(BrokenAnswer, match=fault):
        list(texts([line, DONE]))


def test_an_error_without_a_code_has_its_type() -> None:
    assert error_code({"error": {"code": None, "type": "server_error"}}) == "server_error"
    assert error_code({"error": {}}) == "no code"
    assert error_code(None) == "no error object"
