"""A compact Llama in torch; its parameters carry the names that Hugging Face checkpoints use."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

KeyValues = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """The shape of the network; the defaults are what `train.py` trains."""

    vocab_size: int = 3072
    hidden_size: int = 256
    intermediate_size: int = 640
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    max_position_embeddings: int = 1024
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5

    def as_dict(self) -> dict[str, int | float]:
        """The fields by the names of a Hugging Face config.json."""
        return asdict(self)


def rope_tables(config: LlamaConfig) -> tuple[Tensor, Tensor]:
    """Cosines and sines, [positions, head_dim], for the rotate-half convention."""
    steps = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    angles = torch.outer(
        torch.arange(config.max_position_embeddings, dtype=torch.float32),
        config.rope_theta**-steps,
    )
    doubled = torch.cat((angles, angles), dim=-1)
    return doubled.cos(), doubled.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each head vector of x [batch, heads, time, head_dim] by its position."""
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention over keys that end where the queries end.

    Written out, because on short chats the fused kernel's backward pass costs several times more.
    """
    shares = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(shares, 1), value.repeat_interleave(shares, 1)
    times, span = query.shape[2], key.shape[2]
    later = torch.ones(times, span, dtype=torch.bool).triu(span - times + 1)
    scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
    scores = scores.masked_fill(later, float("-inf"))
    mixed: Tensor = scores.softmax(-1).to(value.dtype) @ value
    return mixed


class Attention(nn.Module):
    """Causal attention in which several query heads share a key-value head."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        queries = config.num_attention_heads * config.head_dim
        shared = config.num_key_value_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, queries, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, shared, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, shared, bias=False)
        self.o_proj = nn.Linear(queries, config.hidden_size, bias=False)

    def heads(self, x: Tensor) -> Tensor:
        """[batch, time, heads * head_dim] to [batch, heads, time, head_dim]."""
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, past: KeyValues | None
    ) -> tuple[Tensor, KeyValues]:
        query = rotate(self.heads(self.q_proj(x)), cos, sin)
        key = rotate(self.heads(self.k_proj(x)), cos, sin)
        value = self.heads(self.v_proj(x))
        if past is not None:
            key, value = torch.cat((past[0], key), 2), torch.cat((past[1], value), 2)
        mixed = attend(query, key, value)
        return self.o_proj(mixed.transpose(1, 2).flatten(2)), (key, value)


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        inner = config.intermediate_size
        self.gate_proj = nn.Linear(config.hidden_size, inner, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, inner, bias=False)
        self.down_proj = nn.Linear(inner, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = FeedForward(config)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, past: KeyValues | None
    ) -> tuple[Tensor, KeyValues]:
        mixed, present = self.self_attn(self.input_layernorm(x), cos, sin, past)
        x = x + mixed
        return x + self.mlp(self.post_attention_layernorm(x)), present


class Trunk(nn.Module):
    """Everything below the output head."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        cos, sin = rope_tables(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(
        self, tokens: Tensor, past: list[KeyValues] | None = None
    ) -> tuple[Tensor, list[KeyValues]]:
        start = past[0][0].shape[2] if past else 0
        cos = self.cos[start : start + tokens.shape[1]]
        sin = self.sin[start : start + tokens.shape[1]]
        x, presents = self.embed_tokens(tokens), []
        for index, layer in enumerate(self.layers):
            x, present = layer(x, cos, sin, past[index] if past else None)
            presents.append(present)
        return self.norm(x), presents


class Llama(nn.Module):
    """The language model; the output head shares the embedding's weights."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        self.apply(self._init)
        for name, parameter in self.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.zeros_(parameter)

    def _init(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary for trunk outputs of any leading shape."""
        return functional.linear(hidden, self.model.embed_tokens.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.logits(self.model(tokens)[0])

    def loss(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """Weighted mean cross-entropy of tokens[:, 1:]; a weight of 0 skips its position."""
        hidden = self.model(tokens[:, :-1])[0]
        wanted = weights[:, 1:] > 0
        scores = self.logits(hidden[wanted]).float()
        losses = functional.cross_entropy(scores, tokens[:, 1:][wanted], reduction="none")
        share = weights[:, 1:][wanted]
        return (losses * share).sum() / share.sum()

    @torch.inference_mode()
    def complete(self, prompt: list[int], *, stop: int, max_tokens: int) -> list[int]:
        """Greedy tokens after the prompt, up to but without the stop token."""
        hidden, past = self.model(torch.tensor([prompt]))
        out: list[int] = []
        while len(out) < max_tokens:
            best = int(self.logits(hidden[:, -1]).argmax())
            if best == stop:
                break
            out.append(best)
            hidden, past = self.model(torch.tensor([[best]]), past)
        return out
