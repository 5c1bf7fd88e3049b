"""What is known of a run of calls before the next one. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from serving.contract.calls import Message
from serving.contract.tool_runs import NOTHING, ToolRun
from serving.guardrails.tools.calls import ToolCall, calls_of, is_untrusted

REMEMBERED = 8


@dataclass(frozen=True, slots=True)
class Run:
    """`calls_made` before this one; `digests` are those of the last of them, the newest last.

    `rates_left`: how often a tool can still be called this minute, where that is limited.
    """

    is_tainted: bool = False
    calls_made: int = 0
    digests: tuple[str, ...] = ()
    rates_left: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, messages: Sequence[Message], known: ToolRun = NOTHING) -> "Run":
        """By the messages, and by what is `known` of its session."""
        made = [call for message in _last_run(messages) for call in calls_of(message)]
        return cls(
            known.is_tainted or has_untrusted(messages),
            max(len(made), known.calls_made),
            tuple(call.digest for call in made[-REMEMBERED:]),
            known.rates_left or {},
        )

    def after(self, call: ToolCall) -> "Run":
        """The run once `call` was passed on, for the next one in the same answer."""
        left = {name: n - (name == call.name) for name, n in self.rates_left.items()}
        return replace(
            self,
            calls_made=self.calls_made + 1,
            digests=(*self.digests, call.digest)[-REMEMBERED:],
            rates_left=left,
        )

    def repeats(self, call: ToolCall) -> int:
        """How many of the last calls, without another between them, were this very one."""
        digest = call.digest
        return sum(1 for _ in takewhile(lambda other: other == digest, reversed(self.digests)))


def has_untrusted(messages: Sequence[Message]) -> bool:
    return any(map(is_untrusted, messages))


def _last_run(messages: Sequence[Message]) -> Sequence[Message]:
    """What came after the last words of the user."""
    places = [place for place, message in enumerate(messages) if message.get("role") == "user"]
    return messages[places[-1] + 1 :] if places else messages
