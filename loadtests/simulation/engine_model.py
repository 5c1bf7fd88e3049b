"""What an engine's work costs: a few numbers, measured on a real one and kept in a TOML file."""

import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from loadtests.settings import RefusedLoad

ENGINES = Path(__file__).parent / "engines"
FITTED = ENGINES / "demo-cpu.toml"
_WHOLE = ("kv_tokens", "step_tokens", "block_tokens")
_ABOVE_ZERO = (*_WHOLE, "step_s")


@dataclass(frozen=True, slots=True)
class EngineModel:
    """A step takes `step_s + sequence_s·n + kv_token_s·T + prompt_token_s·r + prompt_pair_s·p`: n
    sequences decode, T tokens are in the KV cache, r tokens of prompts are read, and p are the
    pairs of a token that is read and one before it in its prompt.

    A step takes `step_tokens` at most, those that decode first. A request joins at the first step
    that begins `start_s` after it was admitted, and one that is stopped leaves after the first
    that ends `stop_s` later. The cache holds `kv_tokens`, and finds prefixes in whole blocks.
    """

    step_s: float
    sequence_s: float
    kv_token_s: float
    prompt_token_s: float
    prompt_pair_s: float = 0.0
    start_s: float = 0.0
    stop_s: float = 0.0
    kv_tokens: int = 32768
    step_tokens: int = 512
    block_tokens: int = 32

    def step_time_s(self, decoding: int, kv_tokens: float, reads: float, pairs: float = 0) -> float:
        """One step."""
        return (
            self.step_s
            + self.sequence_s * decoding
            + self.kv_token_s * kv_tokens
            + self.prompt_token_s * reads
            + self.prompt_pair_s * pairs
        )

    def prompt_s(self, prompt_tokens: float, known_tokens: float = 0) -> float:
        """What reading a prompt adds to the steps that do it, its first tokens being known."""
        pairs = (prompt_tokens**2 - known_tokens**2) / 2
        return self.prompt_token_s * (prompt_tokens - known_tokens) + self.prompt_pair_s * pairs

    def answer_s(self, prompt_tokens: float, answer_tokens: float, places: int) -> float:
        """The engine's time for one answer among `places` alike, by its share of every step."""
        kv_tokens = places * (prompt_tokens + answer_tokens / 2)
        return answer_tokens * self.step_time_s(places, kv_tokens, 0) / places


def load(path: Path = FITTED) -> EngineModel:
    """Raises RefusedLoad, with the file and the key, for what is not an engine model."""
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RefusedLoad(f"{path} cannot be read as TOML: {error}") from None
    for field in fields(EngineModel):
        if field.name not in values:
            raise RefusedLoad(f"{path} lacks '{field.name}'; `simulate fit` writes a whole one")
    for name, value in values.items():
        _check(path, name, value)
    return EngineModel(**values)


def _check(path: Path, name: str, value: object) -> None:
    kinds = (int,) if name in _WHOLE else (int, float)
    if name not in {field.name for field in fields(EngineModel)}:
        raise RefusedLoad(f"{path} has '{name}', which is no part of an engine model; take it out")
    if not isinstance(value, kinds) or not 0 <= value < float("inf"):
        raise RefusedLoad(f"{path} has {name} = {value!r}; it must be a number, not below 0")
    if name in _ABOVE_ZERO and not value:
        raise RefusedLoad(f"{path} has {name} = 0; without it nothing would run")


def to_toml(model: EngineModel, about: str) -> str:
    """The file, with `about` as its first line."""
    lines = [f"{name} = {_number(value)}" for name, value in asdict(model).items()]
    return "\n".join([f"# {about}", *lines, ""])


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"
