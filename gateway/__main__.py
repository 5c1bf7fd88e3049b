"""`python -m gateway`: one process, one event loop; workers share the port."""

import sys

import uvloop

from gateway.server import serve
from gateway.settings import BadSettings, load
from serving.web.logs import set_up_logs


def main() -> int:
    """Exit status 2 for a setting that cannot be used."""
    try:
        settings = load()
        set_up_logs(level=settings.log_level, log_format=settings.log_format)
        uvloop.run(serve(settings))
    except BadSettings as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
