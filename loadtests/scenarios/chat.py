"""People who chat: several turns in a row, each answer streamed."""

# Locust's classes and decorators are untyped.
# mypy: allow-subclassing-any, allow-untyped-decorators

import random
import time

from locust import task

from loadtests.scenarios.caller import Caller, check_status
from loadtests.sse import texts

CONVERSATIONS = (
    ("Hello!", "How are you today?", "What do you like to do?", "Goodbye!"),
    ("Hi, my name is Ada.", "What is my name?"),
    ("I live in Lisbon.", "Where do I live?", "Thank you!"),
)


class ChatUser(Caller):
    """Streams every answer and tells the times a reader would feel.

    Rows: POST is a whole answer, TTFT the time to its first text, ITL each gap between pieces of
    text after that, as they arrive here.
    """

    weight = 4

    @task
    def converse(self) -> None:
        messages: list[dict[str, str]] = []
        for line in random.choice(CONVERSATIONS):  # noqa: S311 - not a secret
            messages.append({"role": "user", "content": line})
            answer = self._ask(messages)
            if not answer:
                return
            messages.append({"role": "assistant", "content": answer})
            self.wait()

    def _ask(self, messages: list[dict[str, str]]) -> str:
        """The answer; '' when it failed, which is in the tables by then."""
        with self.whole_request("chat"):
            return self._stream(messages)
        return ""

    def _stream(self, messages: list[dict[str, str]]) -> str:
        pieces: list[str] = []
        last_s = time.perf_counter()
        with self.client.stream("POST", "chat/completions", json=self._body(messages)) as response:
            check_status(response)
            for text in texts(response.iter_lines()):
                if not text:
                    continue
                now_s = time.perf_counter()
                self.write_row("ITL" if pieces else "TTFT", "chat", now_s - last_s)
                pieces.append(text)
                last_s = now_s
        return "".join(pieces)

    def _body(self, messages: list[dict[str, str]]) -> dict[str, object]:
        return {
            "model": self.settings.model,
            "messages": messages,
            "max_tokens": self.settings.max_tokens,
            "stream": True,
        }
