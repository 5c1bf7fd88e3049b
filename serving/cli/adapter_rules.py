"""`conch policy adapter-rules`: which requests get an adapter that they do not ask for."""

from typing import Annotated, Any

import typer

from serving.cli.control import Control, control
from serving.cli.shown import AsJson, Item, show
from serving.stack.errors import StackError

FIELD = "adapter_rules"
COLUMNS = {
    "#": lambda rule: rule["number"],
    "model": lambda rule: rule["model"],
    "adapter": lambda rule: rule["adapter"],
    "for": lambda rule: rule["project"] or rule["tenant"] or "everybody",
    "where the prompt has": lambda rule: " or ".join(map(repr, rule["contains"])) or "anything",
}
Text = str | None
adapter_rules = typer.Typer(
    no_args_is_help=True,
    help="Rules that choose an adapter; of those that hold, the first one does.",
)


@adapter_rules.command("list")
def list_(as_json: AsJson = False) -> None:
    """The rules in the order in which they are tried."""
    with control() as api:
        _show(api.get("policy", "settings"), as_json=as_json)


@adapter_rules.command()
def add(
    model: str,
    adapter: str,
    tenant: Annotated[Text, typer.Option(help="For this tenant only.")] = None,
    project: Annotated[Text, typer.Option(help="For this TENANT/PROJECT only.")] = None,
    contains: Annotated[
        list[str] | None,
        typer.Option(help="Where the user's last message has this phrase, or another such one."),
    ] = None,
    at: Annotated[int | None, typer.Option(min=1, help="Its place; else the last.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give ADAPTER to requests for MODEL that say nothing of adapters."""
    said = {"tenant": tenant, "project": project, "contains": contains}
    rule = {"model": model, "adapter": adapter, **{k: v for k, v in said.items() if v}}
    with control() as api:
        settings = api.get("policy", "settings")
        rules = list(settings[FIELD])
        rules.insert(len(rules) if at is None else at - 1, rule)
        _show(_put(api, settings, rules), as_json=as_json)


@adapter_rules.command()
def remove(
    number: Annotated[int, typer.Argument(min=1, help="As `list` numbers them.")],
    as_json: AsJson = False,
) -> None:
    """Remove the rule with this number."""
    with control() as api:
        settings = api.get("policy", "settings")
        rules = list(settings[FIELD])
        if number > len(rules):
            raise StackError(f"there is no rule {number}; there are {len(rules)}")
        del rules[number - 1]
        _show(_put(api, settings, rules), as_json=as_json)


def _put(api: Control, settings: Item, rules: list[Item]) -> Any:
    """Refused where somebody has changed the settings since they were read."""
    headers = {"If-Match": f'"{settings["version"]}"'}
    return api.patch("policy", "settings", body={FIELD: rules}, headers=headers)


def _show(settings: Item, *, as_json: bool) -> None:
    rules = [{"number": i, **rule} for i, rule in enumerate(settings[FIELD], start=1)]
    show(rules, COLUMNS, as_json=as_json)
