"""The engine's child process as seen from Triton's stub: commands down, messages up."""

import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from serving.contract.errors import EngineFailed
from serving.engines.interpreter import python_executable
from serving.engines.messages import Add, Cancel, EngineSettings, LoadFailed, Progress, Ready
from serving.engines.requests import Capacity


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of the child: each message, and its end."""

    on_progress: Callable[[Progress], None]
    on_exit: Callable[[], None]


class EngineLoadError(Exception):
    """The child could not load the model; the message is the engine's own reason."""


class EngineProcess:
    """One child. `start` waits for the model; then messages arrive on a thread of ours."""

    def __init__(self, settings: EngineSettings, listener: Listener) -> None:
        self._settings = settings
        self._listener = listener
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> Capacity:
        """Start the child and return what the model holds. Raises EngineLoadError."""
        connection, theirs = Pipe()
        command = [python_executable(), "-m", "serving.engines.worker", str(theirs.fileno())]
        self._child = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        connection.send(self._settings)
        capacity = self._wait_until_loaded(connection)
        with self._lock:
            self._connection = connection
        threading.Thread(target=self._listen, args=(connection,), daemon=True).start()
        return capacity

    def _wait_until_loaded(self, connection: Connection) -> Capacity:
        try:
            answer = connection.recv()
        except (EOFError, OSError):
            answer = LoadFailed("the engine process ended while loading the model")
        if isinstance(answer, Ready):
            return answer.capacity
        raise EngineLoadError(f"cannot load '{self._settings.model_path}': {answer.reason}")

    def send(self, command: Add | Cancel) -> None:
        """Hand a command to the step loop. Raises EngineFailed while there is no child."""
        with self._lock:
            if self._connection is None:
                raise EngineFailed("the engine is being restarted; try again in a few seconds")
            try:
                self._connection.send(command)
            except OSError as error:
                raise EngineFailed(
                    "the engine has just ended; try again in a few seconds"
                ) from error

    def kill(self) -> None:
        """End a child that hangs; `on_exit` follows."""
        if self._child is not None:
            self._child.kill()

    def close(self) -> None:
        """End the child: it leaves at the end of its pipe."""
        if self._child is not None:
            self._child.terminate()
            self._child.wait()

    def _listen(self, connection: Connection) -> None:
        while True:
            try:
                message: Progress = connection.recv()
            except (EOFError, OSError):
                break
            self._listener.on_progress(message)
        with self._lock:
            self._connection = None
        connection.close()
        if self._child is not None:
            self._child.wait()
        self._listener.on_exit()
