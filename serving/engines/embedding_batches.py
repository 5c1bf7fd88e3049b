"""Which texts go through the model together. Pure."""

from collections.abc import Sequence

# Measured on two Zen 4 cores, one thread: a pass costs 2.1 ms, whatever is in it, and 0.12 ms a
# token. More tokens at a time are no faster, and nothing else is answered or cancelled meanwhile.
MOST_PASS_TOKENS = 1024
# Attention alone works on rows of one length: what may be in them, padding and all.
MOST_PASS_PLACES = 1536
# Every new shape is a little compiling, so there are few: lengths of rows in steps of this, numbers
# of tokens in steps of a sixteenth.
ROW_STEP = 8


def row_length(longest: int) -> int:
    """Places of a row in which `longest` tokens fit."""
    return -(-longest // ROW_STEP) * ROW_STEP


def rounded(tokens: int) -> int:
    """The number of tokens to compute where there are `tokens`."""
    step = 1 << max(0, tokens.bit_length() - 5)
    return -(-tokens // step) * step


def passes(lengths: Sequence[int]) -> list[list[int]]:
    """The texts of each pass, by their places in `lengths`; the shortest texts come first."""
    made: list[list[int]] = []
    tokens = 0
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[place]
        if made and _fits(len(made[-1]) + 1, tokens + length, length):
            made[-1].append(place)
            tokens += length
        else:
            made.append([place])
            tokens = length
    return made


def _fits(texts: int, tokens: int, longest: int) -> bool:
    return tokens <= MOST_PASS_TOKENS and texts * row_length(longest) <= MOST_PASS_PLACES
