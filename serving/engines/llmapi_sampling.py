"""How a request is sampled, in the words of TensorRT-LLM's LLM API; pure."""

import secrets
from collections.abc import Sequence
from typing import Any

from serving.contract.calls import Guide
from serving.engines.llmapi_requests import LlmApiRequest


def sampling(request: LlmApiRequest, sequence: int) -> dict[str, Any]:
    """Fields of `SamplingParams` for one sequence of `request`; None is the library's default."""
    return {
        "max_tokens": request.max_tokens,
        "min_tokens": min(request.min_tokens, request.max_tokens) or None,
        "end_id": request.end_id,
        "ignore_eos": request.end_id is None,
        "stop_token_ids": [s[0] for s in request.stop_sequences if len(s) == 1] or None,
        "include_stop_str_in_output": True,
        "bad_token_ids": list(request.bad_ids) or None,
        "repetition_penalty": request.repetition_penalty,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "logprobs": 1 if request.has_logprobs else None,
        "return_perf_metrics": request.has_timings,
        "detokenize": False,
        "add_special_tokens": False,
        **_choice(request, sequence),
    }


def _choice(request: LlmApiRequest, sequence: int) -> dict[str, Any]:
    """How the next token is chosen. Without a seed the library would take 0 each time."""
    if request.is_greedy:
        return {"top_k": 1}
    seed = secrets.randbits(63) if request.seed is None else request.seed + sequence
    return {
        "temperature": request.temperature,
        "top_k": request.top_k or None,
        "top_p": request.top_p or None,
        "top_p_min": request.top_p_min,
        "top_p_decay": request.top_p_decay,
        "top_p_reset_ids": request.top_p_reset_id,
        "seed": seed % 2**64,
    }


def guided(guide: Guide) -> dict[str, Any]:
    """The field of `GuidedDecodingParams` for a guide; `json` is any JSON."""
    match guide.kind:
        case "json":
            return {"json_object": True}
        case "json_schema":
            return {"json": guide.text}
        case "regex":
            return {"regex": guide.text}
        case _:
            return {"grammar": guide.text}


def end_of_stop(tokens: Sequence[int], sequences: Sequence[Sequence[int]], made: int) -> int | None:
    """Where the first stop sequence ends that the tokens after `made` complete.

    Of several tokens only: single ones are the library's to stop at, and it takes no others.
    """
    several = [list(sequence) for sequence in sequences if len(sequence) > 1]
    for end in range(made + 1, len(tokens) + 1):
        if any(list(tokens[max(0, end - len(s)) : end]) == s for s in several):
            return end
    return None
