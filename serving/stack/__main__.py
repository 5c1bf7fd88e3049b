"""`python -m serving.stack FD`: a stack in the background that reports to a pipe until it is up."""

import sys

from serving.settings.secret_files import BadSettings
from serving.stack.errors import StackError
from serving.stack.report import Kind, to_pipe
from serving.stack.run import run


def main() -> int:
    report = to_pipe(int(sys.argv[1]))
    try:
        run(report)
    except (StackError, BadSettings) as error:
        report(Kind.ERROR, str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
