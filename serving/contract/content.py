"""What a request said and what it was answered, for projects that have turned storing that on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """One request's texts. `event_id` is the id of its usage event; `began_at` is Unix time.

    `prompt` and `answer` are JSON of any shape (messages or a text; choices). They are as the
    client sent and received them: what the project's `log_privacy` keeps back is kept back by who
    stores them.
    """

    event_id: str
    tenant: str
    project: str
    began_at: float
    prompt: bytes
    answer: bytes
