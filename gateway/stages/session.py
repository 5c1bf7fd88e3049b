"""Tie: the calls of one conversation or agent run are known to the model server as such."""

import hashlib
from dataclasses import replace

from gateway.ask import Ask
from serving.contract.wire import MAX_SESSION


def tie(ask: Ask, project: str) -> Ask:
    """`ask` with its session in all calls: of two projects that use one word, each has its own."""
    if not ask.session:
        return ask
    session = f"{project}/{ask.session}"
    if len(session) > MAX_SESSION:
        # Cut off, two sessions could be one.
        session = f"{project}/{hashlib.sha256(ask.session.encode()).hexdigest()}"
    return replace(ask, calls=tuple(replace(call, session=session) for call in ask.calls))
