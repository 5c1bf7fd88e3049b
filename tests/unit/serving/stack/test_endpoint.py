import shlex
import subprocess

import pytest

from serving.stack.endpoint import Endpoint, from_environment, piece_of
from serving.stack.errors import StackError

ENDPOINT = Endpoint("http://127.0.0.1:8080/v1", "ck_live_a_b", "demo")


def test_env_file_read_by_a_shell_gives_the_endpoint_back(tmp_path):
    endpoint = Endpoint("http://127.0.0.1:8080/v1", "it's $HOME", "demo")
    (tmp_path / "conch.env").write_text(endpoint.as_env_file())
    script = f"set -a; . {tmp_path}/conch.env; env -0"
    output = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    variables = dict(line.split("=", 1) for line in output.stdout.split("\0") if "=" in line)
    assert from_environment(variables) == endpoint


def test_curl_line_survives_a_shell():
    words = shlex.split(ENDPOINT.curl())
    assert words[:3] == ["curl", "-N", "http://127.0.0.1:8080/v1/chat/completions"]
    assert "Authorization: Bearer ck_live_a_b" in words


def test_key_is_not_in_repr():
    assert "ck_live" not in repr(ENDPOINT)


def test_half_an_endpoint_is_none():
    assert from_environment({"OPENAI_BASE_URL": "http://x"}) is None


@pytest.mark.parametrize(
    ("line", "piece"),
    [
        ('data: {"choices":[{"delta":{"content":"Hi"}}]}', "Hi"),
        ('data: {"choices":[{"delta":{"role":"assistant"}}]}', ""),
        ('data: {"choices":[],"usage":{}}', ""),
        (": comment", ""),
        ("", ""),
        ("data: [DONE]", None),
    ],
)
def test_piece_of_a_stream_line(line, piece):
    assert piece_of(line) == piece


def test_error_event_is_raised():
    with pytest.raises(StackError, match="engine died"):
        piece_of('data: {"error":{"message":"engine died"}}')
