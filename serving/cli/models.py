"""`conch models`: what models cost, and their limits over all tenants."""

from typing import Annotated, Any

import typer

from serving.cli.control import control
from serving.cli.limit_options import PER_MILLION, nanodollars_per_token, takes_limits
from serving.cli.limits import in_words
from serving.cli.shown import AsJson, Item, field, show

Id = Annotated[str, typer.Argument(metavar="MODEL")]
models = typer.Typer(no_args_is_help=True, help="What models cost, and their limits.")


def _price(price: Item) -> str:
    """Input, cached input and output, in USD for a million tokens."""
    parts = (price[f"{part}_nusd"] / PER_MILLION for part in ("input", "cached_input", "output"))
    return " / ".join(f"${dollars:g}" for dollars in parts)


COLUMNS = {
    "model": field("id"),
    "in / cached / out, for 1M tokens": lambda item: _price(item["price"]),
    "adapters": lambda item: "; ".join(
        f"{name}: {_price(price)}" for name, price in item["adapter_prices"].items()
    ),
    "limits": lambda item: in_words(item["limits"]),
}


def _usd(flag: str, what: str) -> Any:
    option = typer.Option(
        flag, parser=nanodollars_per_token, metavar="USD", help=f"For a million {what}."
    )
    return Annotated[int, option]


@models.command("list")
def list_(as_json: AsJson = False) -> None:
    """The models of which a price or a limit is set."""
    with control() as api:
        show(api.each("models"), COLUMNS, as_json=as_json)


@models.command()
def price(
    model: Id,
    input_: _usd("--input", "prompt tokens") = "0",  # type: ignore[valid-type]
    cached_input: _usd("--cached-input", "prompt tokens that were cached") = "0",  # type: ignore[valid-type]
    output: _usd("--output", "generated tokens") = "0",  # type: ignore[valid-type]
    adapter: Annotated[str | None, typer.Option(help="Of this adapter only.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set what a model costs; a price that is not named is 0."""
    price = {"input_nusd": input_, "cached_input_nusd": cached_input, "output_nusd": output}
    body = {"adapter_prices": {adapter: price}} if adapter else {"price": price}
    with control() as api:
        show(api.patch("models", model, "prices", body=body), COLUMNS, as_json=as_json)


@models.command()
@takes_limits
def limit(model: Id, as_json: AsJson = False, *, limits: dict[str, Any]) -> None:
    """Set limits over all tenants together; those that are not named stay."""
    with control() as api:
        show(api.patch("models", model, "limits", body=limits), COLUMNS, as_json=as_json)
