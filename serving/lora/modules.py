"""The linear modules a LoRA adapter can change: TensorRT-LLM's numbers and Hugging Face's names."""

from enum import IntEnum


class Module(IntEnum):
    """TensorRT-LLM's module ids (1.2.1, `loraModule.h`); the lower-case name is its own name.

    `MLP_H_TO_4H` is the projection that is activated (`gate_proj`), `MLP_GATE` the one it is
    multiplied with (`up_proj`): TensorRT-LLM's table, whatever the words suggest.
    """

    ATTN_QKV = 0
    ATTN_Q = 1
    ATTN_K = 2
    ATTN_V = 3
    ATTN_DENSE = 4
    MLP_H_TO_4H = 5
    MLP_4H_TO_H = 6
    MLP_GATE = 7
    CROSS_ATTN_QKV = 8
    CROSS_ATTN_Q = 9
    CROSS_ATTN_K = 10
    CROSS_ATTN_V = 11
    CROSS_ATTN_DENSE = 12
    MOE_H_TO_4H = 13
    MOE_4H_TO_H = 14
    MOE_GATE = 15
    MOE_ROUTER = 16
    MLP_ROUTER = 17
    MLP_GATE_UP = 18
    SHARED_EXPERT_H_TO_4H = 19
    SHARED_EXPERT_4H_TO_H = 20
    SHARED_EXPERT_GATE = 21

    @property
    def engine_name(self) -> str:
        """As `--lora_target_modules` and an engine's config.json spell it."""
        return self.name.lower()


HF_NAMES: dict[Module, str] = {
    Module.ATTN_QKV: "self_attn.qkv_proj",
    Module.ATTN_Q: "self_attn.q_proj",
    Module.ATTN_K: "self_attn.k_proj",
    Module.ATTN_V: "self_attn.v_proj",
    Module.ATTN_DENSE: "self_attn.o_proj",
    Module.MLP_H_TO_4H: "mlp.gate_proj",
    Module.MLP_4H_TO_H: "mlp.down_proj",
    Module.MLP_GATE: "mlp.up_proj",
    Module.MLP_GATE_UP: "mlp.gate_up_proj",
}

# GPT-2's names; `query_key_value` is not here because families order its rows differently.
_BY_HF_NAME: dict[str, Module] = {name: module for module, name in HF_NAMES.items()} | {
    "attn.c_attn": Module.ATTN_QKV,
    "attn.c_proj": Module.ATTN_DENSE,
    "mlp.c_fc": Module.MLP_H_TO_4H,
    "mlp.c_proj": Module.MLP_4H_TO_H,
}

SPLIT_MODULES: frozenset[Module] = frozenset(HF_NAMES) - {Module.ATTN_QKV, Module.MLP_GATE_UP}

# The order of a fused module's rows as TensorRT-LLM has them. Its SwiGLU activates the second half,
# so gate_up is [up, gate] there, while Hugging Face's `gate_up_proj` is [gate, up].
PARTS: dict[Module, tuple[Module, ...]] = {
    Module.ATTN_QKV: (Module.ATTN_Q, Module.ATTN_K, Module.ATTN_V),
    Module.MLP_GATE_UP: (Module.MLP_GATE, Module.MLP_H_TO_4H),
}


def module_of(hf_name: str) -> Module | None:
    """The module of a name within a layer ("self_attn.q_proj"), None when it has no place."""
    return _BY_HF_NAME.get(hf_name)
