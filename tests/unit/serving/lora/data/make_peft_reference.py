"""Makes the folders beside it: tiny random models, adapters as PEFT saves them, PEFT's own deltas.

Needs torch, transformers and peft, which Conch does not; run it once, commit what it wrote.
"""

import shutil
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM, PreTrainedModel

HERE = Path(__file__).parent
SIZES = {
    "vocab_size": 16,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "max_position_embeddings": 32,
}
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CASES = {
    "plain": LoraConfig(r=2, lora_alpha=6, layers_to_transform=[1], target_modules=ALL),
    "rslora": LoraConfig(r=4, lora_alpha=3, use_rslora=True, target_modules=["q_proj", "up_proj"]),
    "dora": LoraConfig(
        r=2, lora_alpha=8, use_dora=True, layers_to_transform=[0], target_modules=ALL
    ),
    "patterns": LoraConfig(
        r=2,
        lora_alpha=4,
        target_modules=["k_proj", "o_proj", "gate_proj"],
        rank_pattern={"k_proj": 1, r"^model\.layers\.1\.self_attn\.o_proj": 3},
        alpha_pattern={"layers.0.mlp.gate_proj": 10, "o_proj": 9},
    ),
    "fused": LoraConfig(r=2, lora_alpha=2, target_modules=["qkv_proj", "gate_up_proj"]),
}


def _base(name: str) -> PreTrainedModel:
    torch.manual_seed(1)
    if name == "fused":
        return Phi3ForCausalLM(Phi3Config(**SIZES))
    return LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True))


def _randomise(model: PeftModel) -> None:
    """B is not zero then, and its values, like those of A, are ones that bfloat16 has."""
    torch.manual_seed(2)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                weight.copy_((torch.randn_like(weight) * 0.3).bfloat16())
            if "magnitude" in name:
                weight.mul_(torch.rand_like(weight) + 0.5)


def _deltas(model: PeftModel, *, is_dora: bool) -> dict[str, np.ndarray]:
    """What PEFT adds to each weight; with DoRA what merging changes, base rows included."""
    layers = {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }
    if not is_dora:
        return {name: layer.get_delta_weight("default").numpy() for name, layer in layers.items()}
    before = {name: layer.get_base_layer().weight.clone() for name, layer in layers.items()}
    model.merge_adapter()
    after = {name: layer.get_base_layer().weight for name, layer in layers.items()}
    return {name: (after[name] - before[name]).numpy() for name in layers}


def _as_bfloat16(file: Path) -> None:
    save_file({name: weight.bfloat16() for name, weight in load_file(file).items()}, file)


@torch.no_grad()
def main() -> None:
    for name, config in CASES.items():
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        base = _base(name)
        if name == "dora":
            shutil.rmtree(HERE / "base", ignore_errors=True)
            base.save_pretrained(HERE / "base")
            (HERE / "base" / "generation_config.json").unlink()
        model = get_peft_model(base, config)
        _randomise(model)
        model.save_pretrained(folder)
        (folder / "README.md").unlink()
        if name == "rslora":
            _as_bfloat16(folder / "adapter_model.safetensors")
        np.savez(folder / "deltas.npz", **_deltas(model, is_dora=name == "dora"))


if __name__ == "__main__":
    main()
