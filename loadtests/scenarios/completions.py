"""Programs that complete a text and wait for the whole of it."""

# Locust's classes and decorators are untyped.
# mypy: allow-subclassing-any, allow-untyped-decorators

import random
from typing import Any

from locust import task

from loadtests.scenarios.caller import Caller, check_status, json_of
from loadtests.sse import BrokenAnswer

PROMPTS = ("Once upon a time", "The weather today is", "My favourite colour is")


class CompletionUser(Caller):
    """One row, POST: the whole answer."""

    weight = 1

    @task
    def complete(self) -> None:
        body = {
            "model": self.settings.model,
            "prompt": random.choice(PROMPTS),  # noqa: S311 - not a secret
            "max_tokens": self.settings.max_tokens,
        }
        with self.whole_request("completion"):
            response = self.client.post("completions", json=body)
            check_status(response)
            check_answer(json_of(response))


def check_answer(answer: Any) -> None:
    """Raises BrokenAnswer unless there is a finished choice and a count of tokens."""
    try:
        is_whole = answer["choices"][0]["finish_reason"] in ("stop", "length")
        is_counted = answer["usage"]["completion_tokens"] >= 0
    except (KeyError, IndexError, TypeError):
        raise BrokenAnswer("the answer is no completion object") from None
    if not (is_whole and is_counted):
        raise BrokenAnswer("the answer is not finished")
