"""Token ids to text as they come, never half a character and never a token twice."""

from collections.abc import Iterable

from serving.text.tokenizer import Tokenizer

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# An open character is at most three bytes, each one U+FFFD at the end of the decoded text.
MAX_OPEN_BYTES = 3
LOOK_BACK_TOKENS = 4
# Beyond this nothing is text any more, and holding on would cost more with every token.
MAX_OPEN_TOKENS = 64


class Detokenizer:
    """One answer's text. Decodes only a window, so the cost per token does not grow.

    Text of a token can depend on its left neighbour (a leading space), so the window starts with
    the tokens shown last. It moves on only to where the text ends in a whole character.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._context: list[int] = []
        self._context_length = 0  # characters
        self._open: list[int] = []
        self._shown = 0  # characters of the open tokens' text

    def push(self, ids: Iterable[int]) -> str:
        """The text that is certain now that `ids` followed."""
        self._open.extend(ids)
        text = self._text_of(len(self._open))
        if not text.endswith(REPLACEMENT) or len(self._open) > MAX_OPEN_TOKENS:
            return self._show(text, closed=len(self._open), closed_length=len(text))
        whole = text.rstrip(REPLACEMENT)
        broken = len(text) - len(whole) - MAX_OPEN_BYTES
        return self._show(whole + REPLACEMENT * max(0, broken), *self._whole_run(len(whole)))

    def flush(self) -> str:
        """What is left when no token will follow; broken characters as U+FFFD."""
        text = self._text_of(len(self._open))
        return self._show(text, closed=len(self._open), closed_length=len(text))

    def _text_of(self, count: int) -> str:
        """The text of the first `count` open tokens."""
        text = self._tokenizer.decode(self._context + self._open[:count])
        return text[self._context_length :]

    def _whole_run(self, limit: int) -> tuple[int, int]:
        """How many open tokens, at most `limit` characters, end in a whole character; their text's
        length. Only the last tokens can be open, so few are tried."""
        lowest = max(0, len(self._open) - LOOK_BACK_TOKENS)
        for count in range(len(self._open) - 1, lowest, -1):
            text = self._text_of(count)
            if len(text) <= limit and not text.endswith(REPLACEMENT):
                return count, len(text)
        return 0, 0

    def _show(self, certain: str, closed: int, closed_length: int) -> str:
        """What of `certain` is new; the first `closed` tokens become the context."""
        piece = certain[self._shown :]
        self._shown = max(self._shown, len(certain)) - closed_length
        if closed:
            # A token without text (special, or a stripped space) still matters to the next one.
            before = [] if closed_length else self._context[-LOOK_BACK_TOKENS:]
            self._context = before + self._open[:closed]
            self._context_length = len(self._tokenizer.decode(self._context))
        self._open = self._open[closed:]
        return piece
