"""Templates and what fills them: `[a|b]` is a choice, `«x»` a slot, `«hex_x»` a slot in hex."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from random import Random

from guardrails.encoders import ENCODERS

FOLDER = Path(__file__).parent / "texts"
_CHOICE = re.compile(r"\[([^\[\]\n]*\|[^\[\]\n]*)\]")
_SLOT = re.compile(r"«(?:(" + "|".join(ENCODERS) + r")_)?(\w+)»")
DEEPEST = 6  # slots within slots

Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Templates:
    """All of one split: families of attacks, kinds of benign texts, and the slots of both."""

    attacks: dict[str, Lines]
    benign: dict[str, Lines]
    slots: dict[str, Lines]

    @classmethod
    def load(cls, split: str) -> "Templates":
        """`split` is `train` or `eval`; they have no line in common."""
        tables: dict[str, dict[str, Lines]] = {"attacks": {}, "benign": {}, "slots": {}}
        for path in sorted((FOLDER / split).glob("*.toml")):
            for table, blocks in tomllib.loads(path.read_text(encoding="utf-8")).items():
                for name, block in blocks.items():
                    tables[table][name] = tables[table].get(name, ()) + _lines(block)
        return cls(**tables)

    def filled(self, template: str, rng: Random) -> str:
        """One text out of a template."""
        text = template
        for _ in range(DEEPEST):
            text = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), text)
            if "«" not in text:
                break
            text = _SLOT.sub(lambda match: self._slot(match[1], match[2], rng), text)
        return text

    def _slot(self, encoder: str | None, name: str, rng: Random) -> str:
        value = rng.choice(self.slots[name])
        return ENCODERS[encoder](self.filled(value, rng), rng) if encoder else value


def _lines(block: str) -> Lines:
    return tuple(line.replace("\\n", "\n") for line in block.strip().splitlines())
