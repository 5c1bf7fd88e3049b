"""The folder everything of a stack is written to, `var/` by default."""

import os
from dataclasses import dataclass
from pathlib import Path

from serving.stack.errors import StackError


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one var folder. Only folders made here get a mode."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def gateway(self) -> Path:
        """What gateways keep: the last policy, and usage that could not be told yet."""
        return self.root / "gateway"

    @property
    def backends(self) -> Path:
        return self.root / "triton" / "backends"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def adapters(self) -> Path:
        """LoRA adapters that were added while Triton ran, by base model."""
        return self.root / "adapters"

    @property
    def given_models(self) -> Path:
        """The Triton models around what `conch up --model` was given; made anew by each start."""
        return self.root / "given"

    @property
    def env_file(self) -> Path:
        return self.root / "conch.env"

    @property
    def api_key_file(self) -> Path:
        return self.secret("api_key")

    @property
    def admin_key_file(self) -> Path:
        return self.secret("admin_key")

    def secret(self, name: str) -> Path:
        return self.secrets / name

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's folder, or under root a link to where its user has it."""
        return self.root / "postgres"

    @property
    def state_file(self) -> Path:
        return self.run / "stack.json"

    @property
    def lock_file(self) -> Path:
        return self.run / "stack.lock"

    def log_of(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def prepare(self) -> None:
        """Makes the folders; StackError when `root` cannot be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for private in (self.run, self.secrets, self.gateway):
                private.mkdir(mode=0o700, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
            # Triton looks only where there is a folder when it starts; models are published later.
            self.models.mkdir(exist_ok=True)
        except OSError as error:
            raise _unwritable(self.root, error) from error
        if not os.access(self.run, os.W_OK):
            raise StackError(f"cannot write to {self.run}; choose another folder with CONCH_VAR")


def _unwritable(root: Path, error: OSError) -> StackError:
    reason = (error.strerror or str(error)).lower()
    return StackError(f"cannot write to {root} ({reason}); choose another folder with CONCH_VAR")


def write_private(path: Path, text: str, *, is_durable: bool = False) -> None:
    """Replaces `path` in one step with a file that only its owner can read.

    With `is_durable` it outlives a power cut too.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        if is_durable:
            file.flush()
            os.fsync(file.fileno())
    aside.replace(path)
