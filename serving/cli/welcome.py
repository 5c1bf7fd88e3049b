"""What `conch up` prints once everything is up: how to use it, and who may do what."""

from serving.cli.connection import endpoint, layout, owner_key_file
from serving.cli.control import control
from serving.cli.limits import in_words
from serving.cli.terminal import output
from serving.contract.api_keys import parse
from serving.settings.secret_files import first_line
from serving.stack import state
from serving.stack.control import NAME as CONTROL
from serving.stack.errors import StackError
from serving.stack.part import Health


def welcome(how_to_stop: str, *, is_first: bool) -> None:
    """After the first start of a var folder, the owner's key too: once."""
    ready = endpoint()
    output.print(f"\nConch is serving [bold]{ready.model}[/] at [bold]{ready.base_url}[/]")
    _line("key", f"{ready.api_key} ({_limits(ready.api_key)})")
    _line("env", f"set -a; . {layout().env_file}; set +a")
    _line("try", ready.curl())
    _line("admin", f"{ready.control_url} (the owner's key is in {owner_key_file()})")
    if is_first:
        _line("owner", f"{_owner_key()} (shown only now)")
    _line("stop", how_to_stop)


def _line(name: str, text: str) -> None:
    output.print(f"  {name:<6} {text}", soft_wrap=True, markup=False)


def _owner_key() -> str:
    file = owner_key_file()
    return first_line(file, str(file))


def _limits(api_key: str) -> str:
    """The limits of the key, or why they are not known."""
    key = parse(api_key)
    if key is None:
        return "not a key of the control plane's"
    if not _has_control_plane():
        return "its limits are not known: the control plane is not up, see `conch status`"
    try:
        with control() as api:
            return in_words(api.get("keys", key.id)["limits"])
    except StackError as error:
        return f"its limits are not known: {error}"


def _has_control_plane() -> bool:
    """Whether it answers now: one that waits for its database takes questions, and is silent."""
    running = state.running(layout())
    parts = running.parts if running is not None else ()
    return any(part.name == CONTROL and part.health == Health.READY for part in parts)
