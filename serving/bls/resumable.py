"""Which requests can be stopped and go on later as new ones, decided before they start. Pure."""

from dataclasses import replace
from hashlib import blake2b

from serving.bls.language import Prompt
from serving.contract.calls import Call, Sampling


def why_not_resumable(call: Call, sampling: Sampling) -> str | None:
    """What would be lost at the seam; None when nothing would.

    The engine would start a grammar, a seeded sampler and its count of generated tokens anew.
    """
    if call.guide is not None:
        return "its grammar would start anew"
    if sampling.seed is not None and not is_greedy(sampling):
        return "its seeded sampler would start anew"
    for name in ("presence_penalty", "frequency_penalty"):
        if getattr(sampling, name):
            return f"{name} counts generated tokens only"
    if sampling.bad_words:
        return "a bad word could span the seam"
    return None


def is_greedy(sampling: Sampling) -> bool:
    return not sampling.temperature or sampling.top_k == 1


def rest_of(
    prompt: Prompt, sampling: Sampling, made: tuple[int, ...], seed: int
) -> tuple[Prompt, Sampling]:
    """What is left to ask of the engine once it has made the tokens `made`.

    A sampled answer goes on with a seed of its own for each position: the engine's default would
    draw the same numbers again.
    """
    if not made:
        return prompt, sampling
    rest = replace(prompt, ids=prompt.ids + made, max_tokens=prompt.max_tokens - len(made))
    changes: dict[str, int | None] = {}
    if sampling.min_tokens is not None:
        changes["min_tokens"] = max(0, sampling.min_tokens - len(made))
    if not is_greedy(sampling):
        changes["seed"] = position_seed(seed, len(made))
    return rest, replace(sampling, **changes)  # type: ignore[arg-type]


def position_seed(seed: int, position: int) -> int:
    """63 bits out of a sequence's seed and how many tokens it has."""
    data = seed.to_bytes(8, "big") + position.to_bytes(8, "big")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big") >> 1
