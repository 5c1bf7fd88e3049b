"""Tie: the calls of one conversation or agent run are known to the model server as such."""

import hashlib
from dataclasses import replace

from gateway.ask import Ask
from serving.contract.wire import MAX_SESSION


def tie(ask: Ask, project: str) -> Ask:
    """`ask` with its session in all calls: of two projects that use one word, each has its own."""
    if not ask.session:
        return ask
    session = tied(ask.session, project)
    return replace(ask, calls=tuple(replace(call, session=session) for call in ask.calls))


def tied(session: str, project: str) -> str:
    """What a project's session is called beyond it."""
    name = f"{project}/{session}"
    if len(name) <= MAX_SESSION:
        return name
    # Cut off, two sessions could be one.
    return f"{project}/{hashlib.sha256(session.encode()).hexdigest()}"
