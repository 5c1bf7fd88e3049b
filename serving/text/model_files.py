"""What a model's files say about it: a Hugging Face style folder (OpenVINO) or a GGUF file."""

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from gguf import GGUFReader

from serving.contract.calls import Sampling

DEFAULT_CONTEXT_TOKENS = 2048


def is_gguf(model: Path) -> bool:
    return model.suffix == ".gguf"


def folder_of(model: Path) -> Path:
    """Where the files beside the weights are."""
    return model.parent if is_gguf(model) else model


def context_length(model: Path) -> int:
    """Tokens the model's context holds, prompt and answer together."""
    if is_gguf(model):
        return int(gguf_field(model, f"{gguf_field(model, 'general.architecture')}.context_length"))
    config = read_json(model / "config.json")
    text_config = config.get("text_config", config)
    return int(text_config.get("max_position_embeddings", DEFAULT_CONTEXT_TOKENS))


def vocab_size(model: Path) -> int:
    """Rows of the embedding: every token id is below it."""
    if is_gguf(model):
        return len(gguf_field(model, "tokenizer.ggml.tokens"))
    config = read_json(model / "config.json")
    size = config.get("text_config", config).get("vocab_size")
    if size is None:
        raise ValueError(f"no vocab_size in '{model / 'config.json'}'")
    return int(size)


def end_ids(model: Path) -> tuple[int, ...]:
    """Token ids that end an answer, the main one first."""
    folder = folder_of(model)
    for name in ("generation_config.json", "config.json"):
        ids = read_json(folder / name).get("eos_token_id")
        if ids is not None:
            return tuple(ids) if isinstance(ids, list) else (int(ids),)
    if is_gguf(model):
        return (int(gguf_field(model, "tokenizer.ggml.eos_token_id")),)
    raise ValueError(f"no eos_token_id in generation_config.json or config.json of '{folder}'")


def default_sampling(model: Path) -> Sampling:
    """The sampling that the model's authors recommend in generation_config.json, if any."""
    config = read_json(folder_of(model) / "generation_config.json")
    names = ("temperature", "top_k", "top_p", "repetition_penalty")
    return Sampling(**{name: config[name] for name in names if config.get(name) is not None})


def chat_template(model: Path) -> str | None:
    """The Jinja source of the model's chat template, if it has one."""
    folder = folder_of(model)
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    template = read_json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, str):
        return template
    if isinstance(template, list):
        return _default_of(template)
    return gguf_field(model, "tokenizer.chat_template", None) if is_gguf(model) else None


def special_tokens(model: Path) -> dict[str, str]:
    """`bos_token`, `eos_token` and their like, as chat templates use them."""
    config = read_json(folder_of(model) / "tokenizer_config.json")
    tokens = {k: v for k, v in config.items() if k.endswith("_token")}
    texts = {k: v["content"] if isinstance(v, dict) else v for k, v in tokens.items()}
    named = {k: v for k, v in texts.items() if isinstance(v, str)}
    return (_gguf_special_tokens(model) if is_gguf(model) else {}) | named


def _gguf_special_tokens(model: Path) -> dict[str, str]:
    vocabulary = gguf_field(model, "tokenizer.ggml.tokens")
    ids = {
        f"{name}_token": gguf_field(model, f"tokenizer.ggml.{field}_token_id", None)
        for name, field in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
    }
    return {name: vocabulary[index] for name, index in ids.items() if index is not None}


def _default_of(templates: Iterable[dict[str, str]]) -> str | None:
    by_name = {entry["name"]: entry["template"] for entry in templates}
    return by_name.get("default")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; empty when there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


_MISSING = object()


def gguf_field(model: Path, name: str, default: Any = _MISSING) -> Any:
    """A metadata value of a GGUF file. Raises ValueError when it is absent and has no default."""
    field = _gguf(model).get_field(name)
    if field is not None:
        return field.contents()
    if default is _MISSING:
        raise ValueError(f"'{model}' has no GGUF field '{name}'")
    return default


@lru_cache(maxsize=1)
def _gguf(model: Path) -> GGUFReader:
    return GGUFReader(model)
