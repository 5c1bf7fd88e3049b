"""What chat and completions have in common: field types, refusals, and the way to a Call."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from gateway.api.answer_format import VLLM_NAMES, asked_guide
from gateway.api.errors import UNSUPPORTED, invalid
from gateway.api.service_tier import ServiceTier
from gateway.settings import GatewaySettings
from serving.contract.calls import Guide, Sampling
from serving.contract.errors import InvalidRequest

INT32_MAX = 2**31 - 1
UINT64_MAX = 2**64 - 1
R = TypeVar("R", bound="GenerationRequest")


def whole(low: int, high: int = INT32_MAX) -> Any:
    """An integer from `low` to `high`; 1.0, "1" and true are none."""
    return Field(strict=True, ge=low, le=high)


def real(low: float, high: float) -> Any:
    """A number from `low` to `high`."""
    return Field(strict=True, ge=low, le=high, allow_inf_nan=False)


def refused(*neutral: Any, instead: str | None = None) -> BeforeValidator:
    """A field that cannot be honoured: null and the `neutral` values pass, they ask for nothing.

    `instead` is the field that says the same today.
    """
    hint = "leave it out" if instead is None else f"use '{instead}'"

    def check(value: Any) -> Any:
        if value is None or any(type(value) is type(n) and value == n for n in neutral):
            return value
        raise PydanticCustomError(UNSUPPORTED, "is not supported here; {hint}", {"hint": hint})

    return BeforeValidator(check)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(strict=True)]
EndUser = Annotated[str, Field(strict=True, max_length=256)]
StopString = Annotated[str, Field(strict=True, min_length=1, max_length=1024)]


class StreamOptions(BaseModel):
    """`stream_options` of both endpoints."""

    include_usage: Flag | None = None
    include_obfuscation: Annotated[Any, refused(False)] = None


class GenerationRequest(BaseModel):
    """The parameters of both endpoints. Fields that no code reads are accepted and mean nothing."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: Annotated[str, Field(strict=True, min_length=1, max_length=256)]
    n: Annotated[int, whole(1)] | None = None
    max_tokens: Annotated[int, whole(1)] | None = None
    min_tokens: Annotated[int, whole(0)] | None = None
    temperature: Annotated[float, real(0, 2)] | None = None
    top_p: Annotated[float, real(0, 1)] | None = None
    top_k: Annotated[int, whole(-1)] | None = None
    repetition_penalty: Annotated[float, real(0.01, 10)] | None = None
    presence_penalty: Annotated[float, real(-2, 2)] | None = None
    frequency_penalty: Annotated[float, real(-2, 2)] | None = None
    seed: Annotated[int, whole(-(2**63), UINT64_MAX)] | None = None
    stop: Annotated[list[StopString] | None, Field(max_length=4), BeforeValidator(_listed)] = None
    stream: Flag | None = None
    stream_options: StreamOptions | None = None
    response_format: dict[str, Any] | None = None
    # vLLM's names for other forms of it.
    structured_outputs: dict[str, Any] | None = None
    guided_json: dict[str, Any] | None = None
    guided_regex: Text | None = None
    guided_choice: list[Text] | None = None
    guided_grammar: Text | None = None
    logit_bias: Annotated[Any, refused({})] = None
    service_tier: ServiceTier | None = None
    # Conch's own; "" asks for the model as it is.
    adapter: Annotated[str, Field(strict=True, max_length=128)] | None = None
    user: EndUser | None = None
    safety_identifier: EndUser | None = None

    @property
    def end_user(self) -> str | None:
        """Whom the client asks for; `user` is the older name."""
        return self.safety_identifier or self.user

    @property
    def has_usage_event(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def choices(self, settings: GatewaySettings) -> int:
        """How many answers each prompt gets."""
        n = self.n or 1
        if n > settings.max_choices:
            raise InvalidRequest(f"'n' is {n}, it can be at most {settings.max_choices}", param="n")
        return n

    def guide(self) -> Guide | None:
        names = ("response_format", "structured_outputs", *VLLM_NAMES)
        return asked_guide({name: getattr(self, name) for name in names})

    def sampling(self, max_tokens: int | None) -> Sampling:
        """What the request leaves open stays open: the model knows its own defaults."""
        is_greedy = self.top_p == 0  # the smallest nucleus: the likeliest token alone
        return Sampling(
            max_tokens=max_tokens,
            min_tokens=self.min_tokens,
            temperature=self.temperature,
            top_k=1 if is_greedy else _top_k(self.top_k),
            top_p=None if is_greedy else self.top_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            # OpenAI's seeds are signed, the engine's are not.
            seed=None if self.seed is None else self.seed & UINT64_MAX,
            stop=tuple(self.stop or ()),
        )


def _top_k(value: int | None) -> int | None:
    return 0 if value == -1 else value


def parse(schema: type[R], body: dict[str, Any], settings: GatewaySettings) -> R:
    """The body as `schema`; raises InvalidRequest or UnsupportedParameter with the field's name."""
    if settings.strict:
        refuse_unknown(schema, body)
    try:
        request = schema.model_validate(body)
    except ValidationError as error:
        raise invalid(error) from None
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest("'stream_options' needs 'stream': true", param="stream_options")
    return request


def refuse_unknown(schema: type[BaseModel], body: dict[str, Any]) -> None:
    """Raises InvalidRequest for a field that `schema` does not have."""
    unknown = next((name for name in body if name not in schema.model_fields), None)
    if unknown is not None:
        raise InvalidRequest(f"'{unknown[:64]}' is not a parameter", param=unknown[:64])
