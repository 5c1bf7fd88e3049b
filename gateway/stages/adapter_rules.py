"""Which rules hold for a request that says nothing of adapters. Pure."""

from collections.abc import Sequence

from gateway.stages.adapters import may_use
from serving.contract.calls import Call, Message
from serving.contract.policy import AdapterRule
from serving.contract.principal import Principal

MOST_CHARACTERS = 16_384  # of a prompt; rules look no further


def matching(
    rules: Sequence[AdapterRule], model: str, principal: Principal, calls: Sequence[Call]
) -> list[AdapterRule]:
    """The rules that are for such a request, and give it what its principal may use."""
    its = [rule for rule in rules if rule.model == model and _is_for(rule, principal)]
    if not any(rule.contains for rule in its):
        return its
    texts = [_last_words(call)[:MOST_CHARACTERS].casefold() for call in calls]
    return [rule for rule in its if all(_says(text, rule.contains) for text in texts)]


def _is_for(rule: AdapterRule, principal: Principal) -> bool:
    return (
        rule.tenant in (None, principal.tenant)
        and rule.project in (None, principal.project)
        and may_use(principal, rule.adapter)
    )


def _says(text: str, phrases: Sequence[str]) -> bool:
    return not phrases or any(phrase.casefold() in text for phrase in phrases)


def _last_words(call: Call) -> str:
    """The last message of a user, or the prompt; nothing where it came as tokens."""
    if call.messages is None:
        return call.text or ""
    users = (message for message in reversed(call.messages) if message.get("role") == "user")
    return _text_of(next(users, {}))


def _text_of(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""
