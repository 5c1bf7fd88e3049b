"""The log-probabilities of text that is held back, until it goes out. Pure."""

from serving.contract.calls import TokenLogprob

Logprobs = tuple[TokenLogprob, ...]


class HeldLogprobs:
    """They go out when nothing of their text is held any more.

    `is_spoilt`: some of that text is not shown as it was made; then none of them ever goes out.
    """

    def __init__(self) -> None:
        self._held: Logprobs = ()
        self.is_spoilt = False

    def push(self, logprobs: Logprobs, *, is_holding: bool) -> Logprobs:
        """Those that may go out now; `is_holding`: some text is held back still."""
        self._held += logprobs
        if is_holding:
            return ()
        released = () if self.is_spoilt else self._held
        self._held, self.is_spoilt = (), False
        return released
