"""`conch policy`: its versions, what changed between them, and the runtime settings."""

from itertools import islice
from typing import Annotated, Any

import orjson
import typer

from serving.cli.adapter_rules import adapter_rules
from serving.cli.control import control
from serving.cli.shown import AsJson, Item, field, moment, print_json, show, show_fields, text
from serving.cli.terminal import output
from serving.stack.errors import StackError

VERSIONS = {
    "version": field("version"),
    "at": moment("at"),
    "who": field("actor"),
    "what": field("summary"),
}
STYLES = {"-": "red", "+": "green"}
policy = typer.Typer(no_args_is_help=True, help="Versions of the policy, and runtime settings.")
policy.add_typer(adapter_rules, name="adapter-rules")


@policy.command("show")
def show_settings(as_json: AsJson = False) -> None:
    """The newest version and the runtime settings."""
    with control() as api:
        newest, settings = api.get("policy"), api.get("policy", "settings")
    show_fields({"policy_version": newest["version"], **settings}, as_json=as_json)


@policy.command()
def history(
    count: Annotated[int, typer.Option("-n", min=1, help="How many versions.")] = 20,
    as_json: AsJson = False,
) -> None:
    """The newest versions: who made them, and what they changed."""
    with control() as api:
        show(islice(api.each("policy", "versions"), count), VERSIONS, as_json=as_json)


@policy.command()
def diff(
    first: int, last: Annotated[int | None, typer.Argument()] = None, as_json: AsJson = False
) -> None:
    """What is different at LAST (else now) from what was at FIRST."""
    with control() as api:
        to = api.get("policy")["version"] if last is None else last
        found = api.get("policy", "diff", **{"from": first, "to": to})
    if as_json:
        print_json(found)
        return
    for change in found["changes"]:
        _print_change(change)


def _print_change(change: Item) -> None:
    output.print(f"{change['kind']} {change['id']}", style="bold", markup=False)
    before, after = change["before"] or {}, change["after"] or {}
    for name in sorted(before.keys() | after.keys()):
        for sign, side in (("-", before), ("+", after)):
            if before.get(name) != after.get(name) and name in side:
                line = f"  {sign} {name}: {text(side[name])}"
                output.print(line, style=STYLES[sign], markup=False, soft_wrap=True)


@policy.command("set")
def set_(
    settings: Annotated[list[str], typer.Argument(metavar="NAME=VALUE…")], as_json: AsJson = False
) -> None:
    """Change runtime settings, as in `log_privacy=none`; null for a setting's absence."""
    body = dict(_setting(each) for each in settings)
    with control() as api:
        version = api.get("policy", "settings")["version"]
        headers = {"If-Match": f'"{version}"'}
        found = api.patch("policy", "settings", body=body, headers=headers)
    show_fields(found, as_json=as_json)


def _setting(said: str) -> tuple[str, Any]:
    name, equals, value = said.partition("=")
    if not equals:
        raise StackError(f"'{said}' is no setting: say NAME=VALUE, as in retention_days=7")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


@policy.command()
def rollback(version: int, as_json: AsJson = False) -> None:
    """Put the runtime settings back as they were at VERSION; nothing else is touched."""
    with control() as api:
        found = api.post("policy", "settings", "rollback", body={"version": version})
    show_fields(found, as_json=as_json)
