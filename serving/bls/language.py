"""One model's language: messages and text to prompt ids, and what its answers end with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from serving.contract.calls import Call, Sampling
from serving.contract.errors import InvalidRequest, PromptTooLong
from serving.contract.tools import name_of
from serving.text import model_files
from serving.text.messages import plain
from serving.text.template import ChatTemplate
from serving.text.tokenizer import Tokenizer
from serving.text.tools import reasoning
from serving.text.tools.families import family_of
from serving.text.tools.family import Family
from serving.text.tools.reading import Reading
from serving.text.tools.reasoning import ReasoningSplit

MAX_SEQUENCES = 64
_LAST_TOKENS = 8  # enough for a tag and the space after it
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What goes to the engine: ids, how many tokens the answer may have, and what ends it.

    `is_thinking`: it ends within the reasoning of the answer.
    """

    ids: tuple[int, ...]
    max_tokens: int
    end_ids: tuple[int, ...]
    bad_words: tuple[tuple[int, ...], ...] = ()
    is_thinking: bool = False


@dataclass(frozen=True, slots=True)
class Language:
    """Everything about a model's text that its files say.

    `tools` is how it writes calls; None: its template is not told of tools. `has_reasoning`: it may
    think before it answers.
    """

    tokenizer: Tokenizer
    template: ChatTemplate | None
    context_tokens: int
    end_ids: tuple[int, ...]
    sampling: Sampling
    tools: Family | None = None
    has_reasoning: bool = False

    @classmethod
    def load(cls, model: Path, tool_format: str | None = None) -> "Language":
        """Raises ValueError or OSError naming the file that is missing or unreadable.

        `tool_format` is the name of a family of `serving.text.tools.families`, or none of them.
        """
        source = model_files.chat_template(model)
        special = model_files.special_tokens(model)
        return cls(
            tokenizer=Tokenizer.load(model),
            template=None if source is None else ChatTemplate(source, special),
            context_tokens=model_files.context_length(model),
            end_ids=model_files.end_ids(model),
            sampling=model_files.default_sampling(model),
            tools=family_of(source, tool_format),
            has_reasoning=source is not None and reasoning.CLOSE in source,
        )

    def prompt(self, call: Call) -> Prompt:
        """Render and tokenise. Raises InvalidRequest or PromptTooLong, which has both numbers."""
        if not 1 <= call.n <= MAX_SEQUENCES:
            raise InvalidRequest(
                f"'num_return_sequences' is {call.n}, it must be 1 to {MAX_SEQUENCES}",
                param="num_return_sequences",
            )
        ids = self._ids(call)
        end_id = call.sampling.end_id
        return Prompt(
            tuple(ids),
            self._max_tokens(len(ids), call),
            self.end_ids if end_id is None else (end_id,),
            tuple(self._word_ids(word) for word in call.sampling.bad_words),
            is_thinking=self._thinks(call) and self._is_thinking(ids),
        )

    def text_of(self, ids: Sequence[int]) -> str:
        """What token ids stand for, special ones too. Raises InvalidRequest for what is none."""
        self._check_ids(ids)
        return self.tokenizer.showing_all().decode(list(ids))

    def ids_of(self, text: str) -> tuple[int, ...]:
        """The token ids of such a text."""
        return tuple(self.tokenizer.encode(text, has_template=True))

    def reading(self, call: Call, prompt: Prompt) -> Reading | None:
        """How to read an answer in which not all text is content; None: all of it is."""
        family = self.tools if call.tools else None
        split = ReasoningSplit(is_open=prompt.is_thinking) if self._thinks(call) else None
        if family is None and split is None:
            return None
        return Reading(split, family, frozenset(map(name_of, call.tools or ())))

    def answers_tokenizer(self, call: Call) -> Tokenizer:
        """What decodes the answers to `call`: also marks of its tools that are special tokens."""
        if self.tools is None or not call.tools:
            return self.tokenizer
        return self.tokenizer.showing(self.tools.syntax.marks)

    def _thinks(self, call: Call) -> bool:
        """A grammar leaves no room for reasoning."""
        return self.has_reasoning and call.messages is not None and call.guide is None

    def _is_thinking(self, ids: Sequence[int]) -> bool:
        end = self.tokenizer.showing((reasoning.OPEN,)).decode(list(ids[-_LAST_TOKENS:]))
        return end.rstrip().endswith(reasoning.OPEN)

    def _word_ids(self, word: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(word, has_template=True))

    def sampling_of(self, call: Call) -> Sampling:
        """The call's sampling; what it leaves open is as the model's files say, else neutral."""
        asked, own = call.sampling, self.sampling
        return replace(
            asked,
            temperature=_first(asked.temperature, own.temperature, 1.0),
            top_k=_first(asked.top_k, own.top_k, 0),
            top_p=_first(asked.top_p, own.top_p, 1.0),
            repetition_penalty=_first(asked.repetition_penalty, own.repetition_penalty, 1.0),
        )

    def _ids(self, call: Call) -> list[int]:
        given = [part for part in (call.text, call.input_ids, call.messages) if part is not None]
        if len(given) != 1:
            raise InvalidRequest("exactly one of text_input, input_ids and messages must be given")
        if call.messages is not None:
            return self._chat_ids(call)
        ids = list(call.input_ids or ()) if call.text is None else self.tokenizer.encode(call.text)
        if not ids:
            raise InvalidRequest("the prompt is empty", param="prompt")
        self._check_ids(ids)
        return ids

    def _chat_ids(self, call: Call) -> list[int]:
        if self.template is None:
            raise InvalidRequest(
                "this model has no chat template; use text_input", param="messages"
            )
        if not call.messages:
            raise InvalidRequest("'messages' is empty", param="messages")
        messages = [self.tokenizer.without_special(plain(message)) for message in call.messages]
        tools = self.tokenizer.without_special(list(call.tools)) if call.tools else None
        return self.tokenizer.encode(self.template.render(messages, tools), has_template=True)

    def _check_ids(self, ids: Sequence[int]) -> None:
        size = self.tokenizer.vocab_size
        wrong = next((i for i in ids if not 0 <= i < size), None)
        if wrong is not None:
            raise InvalidRequest(f"token id {wrong} is not below {size}", param="prompt")

    def _max_tokens(self, prompt_tokens: int, call: Call) -> int:
        asked = call.sampling.max_tokens
        left = self.context_tokens - prompt_tokens
        if asked is not None and asked < 1:
            raise InvalidRequest(
                f"'max_tokens' is {asked}, it must be at least 1", param="max_tokens"
            )
        if left < 1 or (asked is not None and asked > left):
            raise PromptTooLong(
                f"this model's context holds {self.context_tokens} tokens, but the prompt has "
                f"{prompt_tokens} {f'and {asked} more were asked for' if asked else 'already'}; "
                f"shorten the prompt{' or lower max_tokens' if asked else ''}",
                param="max_tokens" if asked else "prompt" if call.messages is None else "messages",
            )
        return left if asked is None else asked


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)
