"""What a client asks for, whichever wire it came by."""

from dataclasses import dataclass

from serving.contract.cache import NO_WISH, CacheWish
from serving.contract.calls import Call


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client wants: a model by name, and one call a prompt, all with the same `n`.

    `adapter` is the client's word beside the model's name, "" for none of them. Once the stage
    `choose` has been, `model` is a base model, `adapter` that of all calls or None, and
    `adapter_param` the field in which the client asked for it; None: a rule chose it.
    `prompt_bytes` is the size of what was sent, to guess its tokens by. `user` and `session` are
    the client's own words for whom it asks and in which conversation; the stage `tie` makes the
    latter the calls' `session`. `service_tier` is the one it asks for, if any, and the stage
    `prioritize` makes the calls' `priority` the class that is used. `is_one_call`: of the calls of
    tools in an answer it wants the first only. `has_functions`: it knows calls by their older name,
    `function_call`. `cache` is what it says of the response cache.
    """

    model: str
    calls: tuple[Call, ...]
    prompt_bytes: int = 0
    user: str | None = None
    session: str | None = None
    adapter: str | None = None
    adapter_param: str | None = None
    service_tier: str | None = None
    is_streamed: bool = False
    has_usage_event: bool = False
    is_one_call: bool = False
    has_functions: bool = False
    cache: CacheWish = NO_WISH

    @property
    def has_logprobs(self) -> bool:
        return self.calls[0].has_logprobs

    @property
    def choices_per_prompt(self) -> int:
        return self.calls[0].n
