"""Runs every test: those of parts beside those of the whole, which wait for most of their time.

`python tests/all.py [pytest's options]`. Fails where one of the two does, with the output of both.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
BESIDE, NICENESS = ("unit", "contract"), 5
OTHERS = ("integration", "e2e")


def main(options: list[str]) -> int:
    pytest = [sys.executable, "-m", "pytest", *options]
    with tempfile.TemporaryFile() as output:
        # What the others promise in time they promise beside this one, so it comes second.
        beside = subprocess.Popen(
            [*pytest, "-p", "no:cacheprovider", *_folders(BESIDE)],
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.nice(NICENESS),
        )
        try:
            failed = subprocess.run([*pytest, *_folders(OTHERS)], check=False).returncode
        except BaseException:
            beside.terminate()
            raise
        beside_failed = beside.wait()
        output.seek(0)
        sys.stdout.write(output.read().decode(errors="replace"))
    return failed or beside_failed


def _folders(names: tuple[str, ...]) -> list[str]:
    return [str(TESTS / name) for name in names]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
