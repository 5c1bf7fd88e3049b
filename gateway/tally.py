"""Adds up the tokens of one request."""

from dataclasses import dataclass, field

from serving.contract.calls import Chunk, Usage


@dataclass(slots=True)
class Tally:
    """Usage over every choice, as last reported: also of answers that broke off.

    A prompt counts once however many choices it has.
    """

    choices_per_prompt: int = 1
    _choices: dict[int, Usage] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """A choice reports its usage so far now and then, and with its last chunk."""
        if chunk.usage is not None:
            self._choices[chunk.index] = chunk.usage

    @property
    def completion_tokens(self) -> int:
        return sum(usage.completion_tokens for usage in self._choices.values())

    @property
    def prompt_tokens(self) -> int:
        return sum(usage.prompt_tokens for usage in self._prompts())

    @property
    def cached_tokens(self) -> int | None:
        """Of the prompts' tokens; None where the engine does not say."""
        known = [u.cached_tokens for u in self._prompts() if u.cached_tokens is not None]
        return sum(known) if known else None

    def _prompts(self) -> list[Usage]:
        of_prompt = {
            index // self.choices_per_prompt: usage for index, usage in self._choices.items()
        }
        return list(of_prompt.values())
