"""Where a request stands: whether any of its sequences runs, as far as chunks tell."""

from serving.contract.calls import Chunk, SequenceState


class States:
    """The states of the sequences that have begun, or were paused before that, and not ended."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: dict[int, SequenceState] = {}

    def saw(self, chunk: Chunk) -> bool:
        """Called for every chunk, so it is cheap; whether anything has changed."""
        if chunk.finish_reason is not None:
            self._of.pop(chunk.index, None)
        elif chunk.state is not None:
            self._of[chunk.index] = chunk.state
        elif chunk.index not in self._of:
            self._of[chunk.index] = SequenceState.RUNNING
        else:
            # Tokens may come after the news that it was stopped: only news makes it run again.
            return False
        return True

    @property
    def of_request(self) -> SequenceState:
        """Running if one sequence runs or none has told anything; else paused if one is."""
        told = self._of.values()
        if not told or SequenceState.RUNNING in told:
            return SequenceState.RUNNING
        return SequenceState.PAUSED if SequenceState.PAUSED in told else SequenceState.WAITING
