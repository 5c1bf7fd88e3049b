"""What is left in the KV cache of those that have gone: the prefixes of those that come back."""

from collections import OrderedDict


class PrefixCache:
    """The least recently used goes first, from its end, as others need the room."""

    def __init__(self, block_tokens: int) -> None:
        self._block_tokens = block_tokens
        self._tokens: OrderedDict[str, int] = OrderedDict()
        self.tokens = 0

    def put(self, key: str, tokens: int) -> None:
        """`tokens` of a sequence that has left the engine."""
        if tokens > 0:
            self.tokens += tokens - self._tokens.pop(key, 0)
            self._tokens[key] = tokens

    def take(self, key: str, prompt_tokens: int) -> int:
        """How much of a prompt need not be read: all but its last token at most."""
        kept = self._tokens.pop(key, 0)
        self.tokens -= kept
        return min(kept, prompt_tokens - 1) // self._block_tokens * self._block_tokens

    def shrink_to(self, room: int) -> None:
        """Others need the rest."""
        while self.tokens > max(0, room):
            key = next(iter(self._tokens))
            surplus = self.tokens - max(0, room)
            if self._tokens[key] <= surplus:
                self.tokens -= self._tokens.pop(key)
            else:
                self._tokens[key] -= surplus
                self.tokens -= surplus
