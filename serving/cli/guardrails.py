"""`conch guardrails`: what texts and calls of tools are checked by."""

from pathlib import Path
from typing import Annotated, Any

import typer

from serving.cli import guardrail_trials, policy_files
from serving.cli.control import Control, control
from serving.cli.control import project as parts
from serving.cli.shown import AsJson, Item, field, moment, print_json, show, show_fields
from serving.cli.terminal import output
from serving.guardrails.default_policy import BUILT_IN
from serving.stack.errors import StackError

COLUMNS = {
    "policy": field("id"),
    "tenant": field("tenant"),
    "checks": lambda item: ", ".join(f"{c['kind']} {c['action']}" for c in item["checks"]) or "-",
    "made": moment("created_at"),
}
Name = Annotated[str, typer.Argument(metavar="NAME", help="<name>, or <tenant>/<name>.")]
Text = str | None
guardrails = typer.Typer(no_args_is_help=True, help="What texts and calls of tools are checked by.")
guardrails.command("test")(guardrail_trials.try_policy)


@guardrails.command("list")
def list_(as_json: AsJson = False) -> None:
    """All policies, the built-in ones first."""
    with control() as api:
        built_in = [api.get("guardrails", name) for name in BUILT_IN]
        show([*built_in, *api.each("guardrails")], COLUMNS, as_json=as_json)


@guardrails.command("show")
def show_one(policy: Name, as_json: AsJson = False) -> None:
    """One policy as a file that `put` takes; with --json as the control plane has it."""
    with control() as api:
        found = api.get("guardrails", policy)
    if as_json:
        print_json(found)
    else:
        output.out(policy_files.written(policy_files.policy_of(found)), highlight=False)


@guardrails.command()
def put(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A policy, as JSON or TOML.")],
    as_json: AsJson = False,
) -> None:
    """Make a policy, or replace it, by what FILE says."""
    said = policy_files.read(file)
    policy_files.policy_of(said)
    id_ = said.pop("id")
    with control() as api:
        show(api.put("guardrails", id_, body=said), COLUMNS, as_json=as_json)


@guardrails.command()
def remove(policy: Name) -> None:
    """Remove a policy that nobody uses any more."""
    with control() as api:
        api.delete("guardrails", policy)
    output.print(f"guardrail {policy} is removed", markup=False)


@guardrails.command()
def use(
    policy: Annotated[
        Text, typer.Argument(metavar="[NAME]", help="Without it: what counts for those above.")
    ] = None,
    tenant: Annotated[Text, typer.Option(help="For this tenant.")] = None,
    project: Annotated[Text, typer.Option(help="For this TENANT/PROJECT.")] = None,
    for_all: Annotated[bool, typer.Option("--all", help="Where nobody says otherwise.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a project, a tenant or all by policy NAME; the nearest choice counts."""
    if sum((tenant is not None, project is not None, for_all)) != 1:
        raise StackError("say for whom: one of --tenant, --project and --all")
    path = _chooser(tenant, project)
    with control() as api:
        found = _choose(api, path, policy)
    chosen = {"for": found.get("id", "all"), "guardrails": found["guardrails"]}
    show_fields(chosen, as_json=as_json)


def _chooser(tenant: Text, project: Text) -> tuple[str, ...]:
    if tenant is not None:
        return ("tenants", tenant)
    return ("policy", "settings") if project is None else ("projects", *parts(project))


def _choose(api: Control, path: tuple[str, ...], policy: Text) -> Item:
    if policy is None and path[0] == "policy":
        raise StackError("say which policy; 'default' is the one that Conch comes with")
    found: dict[str, Any] = api.patch(*path, body={"guardrails": policy})
    return found
