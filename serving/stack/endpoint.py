"""Where clients find the stack, and the lines of the event stream they get there."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from serving.stack.errors import StackError

GREETING = "Hello!"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What an OpenAI client needs to be told. The key stays out of `repr`."""

    base_url: str
    api_key: str
    model: str
    control_url: str | None = None

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url!r}, model={self.model!r})"

    def as_env_file(self) -> str:
        """For `set -a; . var/conch.env`."""
        variables = {
            "OPENAI_BASE_URL": self.base_url,
            "OPENAI_API_KEY": self.api_key,
            "CONCH_MODEL": self.model,
            **({"CONCH_CONTROL_URL": self.control_url} if self.control_url else {}),
        }
        return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())

    def curl(self) -> str:
        """A line to paste that streams an answer."""
        body = orjson.dumps(self.request([{"role": "user", "content": GREETING}])).decode()
        return (
            f"curl -N {self.base_url}/chat/completions -H 'Authorization: Bearer {self.api_key}' "
            f"-H 'Content-Type: application/json' -d {shlex.quote(body)}"
        )

    def request(self, messages: list[dict[str, str]], **options: Any) -> dict[str, Any]:
        return {"model": self.model, "stream": True, "messages": messages, **options}


def from_environment(variables: Mapping[str, str | None]) -> Endpoint | None:
    """The endpoint that an env file or the environment names, if all of it is there."""
    names = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "CONCH_MODEL")
    base_url, api_key, model = (variables.get(name) for name in names)
    if not (base_url and api_key and model):
        return None
    return Endpoint(base_url, api_key, model, variables.get("CONCH_CONTROL_URL"))


def piece_of(line: str) -> str | None:
    """The text that a line of the event stream adds: '' for none, None when the stream is over.

    Raises StackError for an error event.
    """
    if not line.startswith("data:"):
        return ""
    data = line.removeprefix("data:").strip()
    if data == "[DONE]":
        return None
    event = orjson.loads(data)
    if "error" in event:
        raise StackError(f"the answer broke off: {event['error'].get('message')}")
    return "".join(_text_of(choice) for choice in event.get("choices", ()))


def _text_of(choice: dict[str, Any]) -> str:
    """The new text of a choice, of a chat or of a completion."""
    return choice.get("text") or choice.get("delta", {}).get("content") or ""
