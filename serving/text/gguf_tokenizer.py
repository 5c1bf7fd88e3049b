"""A `tokenizers` tokenizer out of the vocabulary inside a GGUF file."""

from pathlib import Path

from gguf import TokenType
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from serving.text.model_files import gguf_field

# Splitting patterns of the byte-level families, by GGUF's `tokenizer.ggml.pre`.
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_PATTERNS = {
    "llama-bpe": _LLAMA3,
    "llama3": _LLAMA3,
    "smaug-bpe": _LLAMA3,
    "qwen2": _QWEN2,
    "deepseek-r1-qwen": _QWEN2,
}


def tokenizer_from_gguf(model: Path) -> Tokenizer:
    """Raises ValueError for a kind of vocabulary that cannot be rebuilt faithfully."""
    kind = gguf_field(model, "tokenizer.ggml.model")
    if kind == "gpt2":
        tokenizer = _byte_level(model)
    elif kind == "llama":
        tokenizer = _sentencepiece(model)
    else:
        raise ValueError(
            f"'{model}' has a tokenizer of kind '{kind}'; put its tokenizer.json beside the file"
        )
    _add_special_tokens(tokenizer, model)
    return tokenizer


def _byte_level(model: Path) -> Tokenizer:
    merges = [tuple(m.split(" ", 1)) for m in gguf_field(model, "tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab=_vocab(model), merges=merges, ignore_merges=True))
    pre = gguf_field(model, "tokenizer.ggml.pre", "gpt-2")
    tokenizer.pre_tokenizer = _byte_level_splitter(model, pre)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _byte_level_splitter(model: Path, pre: str) -> pre_tokenizers.PreTokenizer:
    if pre in ("gpt-2", "default"):
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pre not in _PATTERNS:
        raise ValueError(
            f"'{model}' splits text as '{pre}', which is not known here; put its tokenizer.json "
            "beside the file"
        )
    split = pre_tokenizers.Split(Regex(_PATTERNS[pre]), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([split, byte_level])


def _sentencepiece(model: Path) -> Tokenizer:
    """Llama 2's BPE: merges follow from the scores, unknown characters fall back to bytes."""
    vocab = _vocab(model)
    scores = gguf_field(model, "tokenizer.ggml.scores")
    bpe = models.BPE(
        vocab=vocab,
        merges=_merges_by_score(vocab, scores),
        unk_token="<unk>",  # noqa: S106
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(bpe)
    has_prefix = gguf_field(model, "tokenizer.ggml.add_space_prefix", default=True)
    prepend = [normalizers.Prepend("▁")] if has_prefix else []
    tokenizer.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if has_prefix else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return tokenizer


def _merges_by_score(vocab: dict[str, int], scores: list[float]) -> list[tuple[str, str]]:
    """Every way to make a piece of two pieces; pieces of higher score merge first."""
    merges: list[tuple[float, str, str]] = []
    for piece, index in vocab.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in vocab and right in vocab:
                merges.append((-scores[index], left, right))
    merges.sort(key=lambda merge: merge[0])
    return [(left, right) for _, left, right in merges]


def _vocab(model: Path) -> dict[str, int]:
    tokens = gguf_field(model, "tokenizer.ggml.tokens")
    return {token: index for index, token in enumerate(tokens)}


def _add_special_tokens(tokenizer: Tokenizer, model: Path) -> None:
    tokens = gguf_field(model, "tokenizer.ggml.tokens")
    types = gguf_field(model, "tokenizer.ggml.token_type", [])
    special = [t for t, kind in zip(tokens, types, strict=False) if kind == TokenType.CONTROL]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    user = [t for t, kind in zip(tokens, types, strict=False) if kind == TokenType.USER_DEFINED]
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in user])
    if gguf_field(model, "tokenizer.ggml.add_bos_token", default=False):
        bos = tokens[gguf_field(model, "tokenizer.ggml.bos_token_id")]
        tokenizer.post_processor = TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
