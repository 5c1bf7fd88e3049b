"""The body of POST /v1/completions, and what it asks of the model."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from gateway.api.schemas import INT32_MAX, Flag, GenerationRequest, parse, refused, whole
from gateway.ask import Ask
from gateway.settings import GatewaySettings
from serving.contract.calls import Call
from serving.contract.errors import InvalidRequest, UnsupportedParameter

Prompt = str | tuple[int, ...]


class CompletionRequest(GenerationRequest):
    """The parameters that only completions have."""

    prompt: Any
    best_of: Annotated[int, whole(1)] | None = None
    echo: Flag | None = None
    logprobs: Annotated[Any, refused(0)] = None
    suffix: Annotated[Any, refused("")] = None


def completions_ask(body: dict[str, Any], settings: GatewaySettings) -> Ask:
    """What the body asks, one call a prompt; raises InvalidRequest with the name of the field."""
    request = parse(CompletionRequest, body, settings)
    prompts = _prompts(request.prompt, settings.max_prompts)
    model_call = Call(
        sampling=request.sampling(request.max_tokens),
        guide=request.guide(),
        n=_choices(request, settings),
        is_streamed=bool(request.stream),
        is_echoed=bool(request.echo),
        has_logprobs=request.logprobs is not None,
    )
    if model_call.is_echoed and model_call.has_logprobs:
        raise UnsupportedParameter("'logprobs' of an echoed prompt are not known", param="logprobs")
    return Ask(
        request.model,
        tuple(_asking(model_call, prompt) for prompt in prompts),
        user=request.end_user,
        is_streamed=model_call.is_streamed,
        has_usage_event=request.has_usage_event,
        adapter=request.adapter,
        service_tier=request.service_tier,
    )


def _asking(call: Call, prompt: Prompt) -> Call:
    if isinstance(prompt, str):
        return replace(call, text=prompt)
    return replace(call, input_ids=prompt)


def _choices(request: CompletionRequest, settings: GatewaySettings) -> int:
    n = request.choices(settings)
    if request.best_of not in (None, n):
        raise UnsupportedParameter("'best_of' can only be the same as 'n'", param="best_of")
    return n


def _prompts(prompt: Any, limit: int) -> Sequence[Prompt]:
    """A string, token ids, or a list of either."""
    if isinstance(prompt, list) and prompt and not _is_ids(prompt):
        if len(prompt) > limit:
            many = f"'prompt' has {len(prompt)} prompts, it can have at most {limit}"
            raise InvalidRequest(many, param="prompt")
        return [_prompt(one) for one in prompt]
    return [_prompt(prompt)]


def _prompt(value: Any) -> Prompt:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and _is_ids(value):
        return tuple(value)
    raise InvalidRequest(
        f"'prompt' must be a string, a list of token ids (0 to {INT32_MAX}), or a list of either",
        param="prompt",
    )


def _is_ids(values: list[Any]) -> bool:
    return all(type(value) is int and 0 <= value <= INT32_MAX for value in values)
