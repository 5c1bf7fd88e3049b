"""`conch chat`: a conversation in the terminal, streamed through the gateway."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import httpx
import typer

from serving.cli.connection import endpoint
from serving.cli.replies import refusal
from serving.cli.terminal import errors, output
from serving.stack.endpoint import Endpoint, piece_of
from serving.stack.errors import StackError

LEAVE = ("/exit", "/quit")
PATIENCE_S = 120.0
Messages = list[dict[str, str]]


def chat(
    model: Annotated[str | None, typer.Option(help="Another model than the default one.")] = None,
    system: Annotated[str | None, typer.Option(help="A system prompt.")] = None,
) -> None:
    """Talk with the model. Ctrl-C cancels an answer, /exit or Ctrl-D leaves."""
    where = endpoint()
    where = Endpoint(where.base_url, where.api_key, model or where.model)
    messages: Messages = [{"role": "system", "content": system}] if system else []
    output.print(f"{where.model} at {where.base_url}; Ctrl-C cancels an answer, /exit leaves")
    headers = {"Authorization": f"Bearer {where.api_key}"}
    with httpx.Client(headers=headers, trust_env=False, timeout=PATIENCE_S) as client:
        for said in _lines():
            messages.append({"role": "user", "content": said})
            _take_turn(client, where, messages)


def _lines() -> Iterator[str]:
    """What the person says, until they leave."""
    while True:
        try:
            said = output.input("[bold cyan]you[/] > ").strip()
        except (EOFError, KeyboardInterrupt):
            output.print()
            return
        if said in LEAVE:
            return
        if said:
            yield said


def _take_turn(client: httpx.Client, where: Endpoint, messages: Messages) -> None:
    """Prints one answer and adds it to the conversation, as far as it came."""
    answer = ""
    try:
        for piece in _answer(client, where, messages):
            output.out(piece, end="", highlight=False)
            answer += piece
        output.print()
    except KeyboardInterrupt:
        output.print(" [dim](cancelled)[/]")
    except StackError as error:
        errors.print(f"error: {error}", style="red", markup=False, highlight=False)
    if answer:
        messages.append({"role": "assistant", "content": answer})
    else:
        messages.pop()


def _answer(client: httpx.Client, where: Endpoint, messages: Messages) -> Iterator[str]:
    url = f"{where.base_url}/chat/completions"
    with _told(where), client.stream("POST", url, json=where.request(messages)) as response:
        if response.is_error:
            response.read()
            raise StackError(refusal(response))
        for line in response.iter_lines():
            piece = piece_of(line)
            if piece is None:
                return
            yield piece


@contextmanager
def _told(where: Endpoint) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise StackError(
            f"{where.base_url} does not answer ({error!r}); see `conch status`"
        ) from error
