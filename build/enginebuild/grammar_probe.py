"""Write the smallest model OpenVINO GenAI loads; the engine compiles every grammar on it first.

`python -m enginebuild.grammar_probe serving/engines/grammar_probe.gguf`
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from tokenizers import pre_tokenizers

from enginebuild.gguf_llama import LlamaConfig, tensor_shapes, write_llama

END_TOKEN = "<|end|>"  # noqa: S105
CONFIG = LlamaConfig(
    vocab_size=288,
    hidden_size=32,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=1,
    num_key_value_heads=1,
    max_position_embeddings=128,
)


def tokenizer_json() -> dict[str, object]:
    """Every byte is a token; one merge, since readers of GGUF expect some."""
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "th"]
    vocab = {token: index for index, token in enumerate(tokens)}
    end = {"content": END_TOKEN, "id": len(tokens)}
    return {"model": {"vocab": vocab, "merges": ["t h"]}, "added_tokens": [end]}


def main(path: Path) -> None:
    shapes = tensor_shapes(CONFIG, tied=True)
    tensors = {name: np.full(shape, 0.01, dtype=np.float32) for name, shape in shapes.items()}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as tokenizer:
        json.dump(tokenizer_json(), tokenizer)
        tokenizer.flush()
        write_llama(
            path, CONFIG, tensors, Path(tokenizer.name), eos_token=END_TOKEN, name="grammar-probe"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
