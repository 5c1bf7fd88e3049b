"""The body of POST /v1/chat/completions, and what it asks of the model."""

from typing import Annotated, Any, Literal, LiteralString, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.api.errors import UNSUPPORTED
from gateway.api.functions_schema import as_tools
from gateway.api.schemas import Flag, GenerationRequest, Text, parse, refused, whole
from gateway.api.tools_schema import OfferedTool, ToolCall, check_results, narrowed
from gateway.ask import Ask
from gateway.settings import GatewaySettings
from serving.contract.calls import Call
from serving.contract.errors import InvalidRequest
from serving.contract.tools import MAX_TOOLS, choice_of, tools_of

TEXT_PARTS = {"text": "text", "refusal": "refusal"}
_NO_CALLS = {"tool_calls"}


def _joined(content: Any) -> Any:
    """Text parts as one string; a part of another kind is refused by its name."""
    if not isinstance(content, list):
        return content
    return "".join(_text_of(part, position) for position, part in enumerate(content))


def _text_of(part: Any, position: int) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        raise _bad_part("part {position} must be an object with a type", position)
    if kind not in TEXT_PARTS:
        message = "part {position} is of type {kind}; only text is read here"
        raise PydanticCustomError(UNSUPPORTED, message, {"position": position, "kind": kind[:32]})
    text = part.get(TEXT_PARTS[kind])
    if not isinstance(text, str):
        raise _bad_part("part {position} must have its text as a string", position)
    return text


def _bad_part(message: LiteralString, position: int) -> PydanticCustomError:
    return PydanticCustomError("bad_part", message, {"position": position})


class Message(BaseModel):
    """One turn: what was said, the calls that were made in it, or the result of one of them."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[Text | None, BeforeValidator(_joined)] = None
    name: Text | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: Text | None = None
    # Conch's own: somebody else has written it.
    trust: Literal["retrieved"] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError("a message needs content")
        return self

    @model_validator(mode="after")
    def _calls_or_answers(self) -> Self:
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only a message of the assistant has tool_calls")
        if self.role == "tool" and not self.tool_call_id:
            raise ValueError("a message of role tool needs tool_call_id")
        return self

    def as_template_input(self) -> dict[str, Any]:
        role = "system" if self.role == "developer" else self.role
        fields = self.model_dump(exclude_none=True, exclude=None if self.tool_calls else _NO_CALLS)
        return {**fields, "role": role, "content": self.content or ""}


class ChatRequest(GenerationRequest):
    """The parameters that only chat has."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, whole(1)] | None = None
    logprobs: Flag | None = None
    top_logprobs: Annotated[Any, refused(0)] = None
    tools: list[OfferedTool] | None = None
    tool_choice: Any = None
    parallel_tool_calls: Flag | None = None
    audio: Annotated[Any, refused()] = None
    modalities: Annotated[Any, refused([], ["text"])] = None
    prediction: Annotated[Any, refused()] = None
    reasoning_effort: Annotated[Any, refused("none")] = None
    verbosity: Annotated[Any, refused("medium")] = None
    web_search_options: Annotated[Any, refused()] = None
    moderation: Annotated[Any, refused()] = None
    metadata: dict[str, Text] | None = None
    store: Flag | None = None
    prompt_cache_key: Text | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: Text | None = None

    def answer_tokens(self) -> int | None:
        """`max_completion_tokens`, or its older name."""
        new, old = self.max_completion_tokens, self.max_tokens
        if new is not None and old is not None and new != old:
            raise InvalidRequest(
                f"'max_tokens' is {old} and 'max_completion_tokens' is {new}; give one of them",
                param="max_tokens",
            )
        return old if new is None else new


def chat_ask(body: dict[str, Any], settings: GatewaySettings) -> Ask:
    """What the body asks; raises InvalidRequest with the name of the field."""
    _check_count("messages", body.get("messages"), settings.max_messages)
    has_functions = "functions" in body
    body = as_tools(body)
    _check_count("tools", body.get("tools"), MAX_TOOLS)
    request = parse(ChatRequest, body, settings)
    check_results(request.messages)
    tools, choice = narrowed(request.tools or [], request.tool_choice)
    call = Call(
        messages=tuple(message.as_template_input() for message in request.messages),
        sampling=request.sampling(request.answer_tokens()),
        guide=request.guide(),
        tools=tools_of([tool.as_template_input() for tool in tools]),
        tool_choice=choice_of(choice),
        n=request.choices(settings),
        is_streamed=bool(request.stream),
        has_logprobs=bool(request.logprobs),
    )
    return Ask(
        request.model,
        (call,),
        user=request.end_user,
        is_streamed=call.is_streamed,
        has_usage_event=request.has_usage_event,
        adapter=request.adapter,
        service_tier=request.service_tier,
        is_one_call=request.parallel_tool_calls is False or has_functions,
        has_functions=has_functions,
    )


def _check_count(name: str, values: Any, limit: int) -> None:
    if isinstance(values, list) and len(values) > limit:
        many = f"'{name}' has {len(values)} entries, it can have at most {limit}"
        raise InvalidRequest(many, param=name)
