"""The body of POST /v1/embeddings, and what it asks of the model."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.api.errors import invalid
from gateway.api.schemas import EndUser, refuse_unknown, whole
from gateway.ask import Ask
from gateway.embed import calls_of
from gateway.settings import GatewaySettings
from serving.contract.errors import InvalidRequest, UnsupportedParameter

MOST_INPUTS = 2048
WIDTH = 384


@dataclass(frozen=True, slots=True)
class EmbeddingsAsk(Ask):
    """`is_base64`: little-endian float32 in base64 instead of numbers."""

    is_base64: bool = False


class EmbeddingsRequest(BaseModel):
    """Its parameters. Fields that no code reads are accepted and mean nothing."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: Annotated[str, Field(strict=True, min_length=1, max_length=256)]
    input: Any
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, whole(1)] | None = None
    user: EndUser | None = None
    safety_identifier: EndUser | None = None


def embeddings_ask(body: dict[str, Any], settings: GatewaySettings) -> EmbeddingsAsk:
    """What the body asks; raises InvalidRequest with the name of the field."""
    if settings.strict:
        refuse_unknown(EmbeddingsRequest, body)
    try:
        request = EmbeddingsRequest.model_validate(body)
    except ValidationError as error:
        raise invalid(error) from None
    if request.dimensions not in (None, WIDTH):
        raise UnsupportedParameter(
            f"'dimensions' is {request.dimensions}; the vectors have {WIDTH}, leave it out",
            param="dimensions",
        )
    return EmbeddingsAsk(
        request.model,
        calls_of(_texts(request.input)),
        user=request.safety_identifier or request.user,
        is_base64=request.encoding_format == "base64",
    )


def _texts(given: Any) -> list[str]:
    """A text, or a list of texts."""
    texts = given if isinstance(given, list) else [given]
    if not 1 <= len(texts) <= MOST_INPUTS:
        raise InvalidRequest(
            f"'input' has {len(texts)} texts, it must have 1 to {MOST_INPUTS}", param="input"
        )
    for place, text in enumerate(texts):
        _check(text, place)
    return texts


def _check(text: Any, place: int) -> None:
    if isinstance(text, int | list):
        # Clients make them with OpenAI's vocabularies: the vectors would be those of other words.
        raise UnsupportedParameter(
            "'input' has token ids; this model's vocabulary is not the one they were made with: "
            "send the texts (LangChain: check_embedding_ctx_length=False)",
            param="input",
        )
    if not isinstance(text, str):
        raise InvalidRequest("'input' must be a string or a list of strings", param="input")
    if not text:
        raise InvalidRequest(f"text {place} of 'input' is empty; leave it out", param="input")
