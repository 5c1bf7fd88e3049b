"""Guides tried out in a process of their own: one that does not compile would ruin the pipeline.

The probe is the smallest model there is; what breaks a grammar does not depend on the model.
"""

import subprocess
import sys
import threading
from functools import lru_cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from serving.contract.calls import Guide
from serving.contract.errors import InvalidRequest
from serving.engines.interpreter import python_executable

PROBE = Path(__file__).with_name("grammar_probe.gguf")
# The engine compiles a good guide once more between two steps, so this bounds what others feel.
COMPILE_TIMEOUT_S = 1.0
START_TIMEOUT_S = 60.0
MAX_GUIDE_CHARS = 65_536
_MAX_REASON_CHARS = 300


class _NoVerdictError(Exception):
    """The guide could not be judged this time; another time it may be, so this is not kept."""


class GrammarChecker:
    """Says whether a guide compiles. Remembers its last verdicts; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._verdict = lru_cache(maxsize=256)(self._ask)

    def check(self, guide: Guide) -> None:
        """Raises InvalidRequest with the compiler's reason, or when it takes too long."""
        if len(guide.text) > MAX_GUIDE_CHARS:
            raise InvalidRequest(
                f"the guide has {len(guide.text)} characters, at most {MAX_GUIDE_CHARS} are taken",
                param="guided_decoding_guide",
            )
        try:
            reason = self._verdict(guide)
        except _NoVerdictError as error:
            reason = str(error)
        if reason is not None:
            raise InvalidRequest(
                f"the {guide.kind} guide cannot be compiled: {reason}",
                param="guided_decoding_guide",
            )

    def close(self) -> None:
        with self._lock:
            self._end_child()

    def _ask(self, guide: Guide) -> str | None:
        with self._lock:
            if self._child is not None and self._child.poll() is not None:
                self._end_child()
            try:
                return self._answer(self._connected(), guide)
            except (EOFError, OSError):
                self._end_child()
                raise _NoVerdictError("it crashed the compiler") from None

    def _answer(self, connection: Connection, guide: Guide) -> str | None:
        connection.send(guide)
        if not connection.poll(COMPILE_TIMEOUT_S):
            self._end_child()
            raise _NoVerdictError(f"it took over {COMPILE_TIMEOUT_S:g} s")
        reason: str | None = connection.recv()
        return reason

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection, theirs = Pipe()
            command = [python_executable(), "-m", "serving.engines.grammar", str(theirs.fileno())]
            self._child = subprocess.Popen(command, pass_fds=[theirs.fileno()])
            theirs.close()
            if not self._connection.poll(START_TIMEOUT_S):
                self._end_child()
                raise RuntimeError("the grammar probe does not start")
            self._connection.recv()
        return self._connection

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        if self._connection is not None:
            self._connection.close()
        self._child = self._connection = None


def main() -> None:
    """Entry of the probe process: guides in, None or the reason out, until the pipe ends."""
    # Here, not above: only this process may load the library, not Triton's stub.
    from serving.engines.openvino import GuideCompiler

    compiler = GuideCompiler(PROBE)
    connection = Connection(int(sys.argv[1]))
    connection.send(None)
    while True:
        try:
            guide: Guide = connection.recv()
        except EOFError:
            return
        reason = compiler.compile(guide)
        connection.send(None if reason is None else _short(reason))


def _short(reason: str) -> str:
    """The compiler's last words, without the paths of its sources."""
    return reason.strip().rsplit(".cc:", 1)[-1].split(": ", 1)[-1].strip()[:_MAX_REASON_CHARS]


if __name__ == "__main__":
    main()
