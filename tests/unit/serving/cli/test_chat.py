"""`conch chat` against a small server that records what it is asked."""

import json
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from serving.cli.main import app

CONCH = Path(sys.executable).with_name("conch")


class Talker(BaseHTTPRequestHandler):
    """Streams back what it is told; `refuse`, `break` and `slow` are taken literally."""

    asked: ClassVar[list[dict]] = []
    hung_up = threading.Event()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append(body | {"key": self.headers["authorization"]})
        said = body["messages"][-1]["content"]
        if said == "refuse":
            return self.reply(429, [json.dumps({"error": {"message": "slow down"}})])
        pieces = [{"choices": [{"delta": {"content": word}}]} for word in ("you ", "said ", said)]
        events = [json.dumps(piece) for piece in pieces]
        if said == "break":
            events = [events[0], json.dumps({"error": {"message": "engine died"}})]
        parts = [f"data: {event}\n\n" for event in [*events, "[DONE]"]]
        return self.reply_slowly(parts[0]) if said == "slow" else self.reply(200, parts)

    def reply_slowly(self, part):
        self.reply(200, [part])
        try:
            while not self.hung_up.wait(0.02):
                self.reply_more(part)
        except OSError:
            self.hung_up.set()

    def reply(self, status, parts):
        self.send_response(status)
        self.end_headers()
        for part in parts:
            self.reply_more(part)

    def reply_more(self, part):
        self.wfile.write(part.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    Talker.asked = []
    Talker.hung_up.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Talker) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("CONCH_VAR", raising=False)
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "key")
        monkeypatch.setenv("CONCH_MODEL", "demo")
        yield Talker
        server.shutdown()
        thread.join()


def chat(*lines, options=()):
    result = CliRunner().invoke(app, ["chat", *options], input="".join(f"{x}\n" for x in lines))
    assert result.exit_code == 0, result.output
    return result.output


def test_answer_is_printed_and_remembered(server):
    assert "you said hello" in chat("hello", "again", "/exit")
    assert server.asked[1]["messages"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "you said hello"},
        {"role": "user", "content": "again"},
    ]
    assert server.asked[0]["key"] == "Bearer key"


def test_model_and_system_prompt_can_be_chosen(server):
    chat("hi", options=["--model", "other", "--system", "Be brief."])
    assert server.asked[0]["model"] == "other"
    assert server.asked[0]["messages"][0] == {"role": "system", "content": "Be brief."}


def test_refusal_is_told_and_forgotten(server):
    assert "error: slow down" in chat("refuse", "hello")
    assert server.asked[1]["messages"] == [{"role": "user", "content": "hello"}]


def test_broken_answer_is_told_and_kept_as_far_as_it_came(server):
    assert "engine died" in chat("break", "hello")
    assert server.asked[1]["messages"][1] == {"role": "assistant", "content": "you "}


def test_server_that_is_away_is_told(server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert "does not answer" in chat("hello")


def test_interrupt_cancels_the_answer_and_keeps_the_conversation(server):
    process = subprocess.Popen([CONCH, "chat"], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
    with process:
        process.stdin.write("slow\n")
        process.stdin.flush()
        seen = ""
        while "you you " not in seen:
            seen += process.stdout.read(1) or pytest.fail(f"ended after {seen!r}")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate("hello\n", timeout=20)
    assert process.returncode == 0, errors
    assert "(cancelled)" in output
    assert "you said hello" in output
    assert server.hung_up.wait(5)
    assert [message["role"] for message in server.asked[1]["messages"]][-2:] == [
        "assistant",
        "user",
    ]
