"""Adds up the tokens of one request."""

from dataclasses import dataclass, field

from serving.contract.calls import Chunk, Usage


@dataclass(slots=True)
class Tally:
    """Usage over every choice: a prompt counts once however many choices it has."""

    choices_per_prompt: int = 1
    completion_tokens: int = 0
    _prompts: dict[int, Usage] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        if chunk.usage is not None:
            self.completion_tokens += chunk.usage.completion_tokens
            self._prompts[chunk.index // self.choices_per_prompt] = chunk.usage

    @property
    def prompt_tokens(self) -> int:
        return sum(usage.prompt_tokens for usage in self._prompts.values())

    @property
    def cached_tokens(self) -> int | None:
        """Of the prompts' tokens; None where the engine does not say."""
        known = [u.cached_tokens for u in self._prompts.values() if u.cached_tokens is not None]
        return sum(known) if known else None
