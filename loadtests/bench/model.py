"""The bench's model: a Llama of 75.5M random parameters, written once into the working folder."""

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from enginebuild.gguf_llama import LlamaConfig, tensor_shapes, write_llama
from loadtests.bench.workload import VOCABULARY

END_TOKEN = "<|im_end|>"  # noqa: S105
CONFIG = LlamaConfig(
    vocab_size=VOCABULARY,
    hidden_size=768,
    intermediate_size=2048,
    num_hidden_layers=10,
    num_attention_heads=12,
    num_key_value_heads=4,
    max_position_embeddings=2048,
)


def ensure(folder: Path) -> Path:
    """The model's GGUF file in `folder`; written when it is not there."""
    path = folder / "random-75m.gguf"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _train_tokenizer().save(str(folder / "tokenizer.json"))
        partial = path.with_suffix(".partial")
        write_llama(
            partial,
            CONFIG,
            _random_tensors(),
            folder / "tokenizer.json",
            eos_token=END_TOKEN,
            name="random-75m",
            chat_template="{% for m in messages %}{{ m['content'] }}{% endfor %}",
        )
        partial.rename(path)
    return path


def _random_tensors() -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(0)
    return {
        name: np.ones(shape, dtype=np.float32)
        if len(shape) == 1
        else rng.normal(0, 0.02, shape).astype(np.float32)
        for name, shape in tensor_shapes(CONFIG, tied=False).items()
    }


def _train_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>", "<|im_start|>", END_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    return tokenizer


def _texts() -> list[str]:
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(9000)]
    return [" ".join(rng.choice(words, 20)) for _ in range(3000)]
