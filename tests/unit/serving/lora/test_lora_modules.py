from serving.lora.modules import HF_NAMES, PARTS, SPLIT_MODULES, Module, module_of


def test_modules_have_the_numbers_and_names_of_tensorrt_llm() -> None:
    assert [module.engine_name for module in Module][:8] == [
        "attn_qkv", "attn_q", "attn_k", "attn_v", "attn_dense",
        "mlp_h_to_4h", "mlp_4h_to_h", "mlp_gate",
    ]  # fmt: skip
    assert [module.value for module in Module] == list(range(22))
    assert Module.MLP_GATE_UP == 18


def test_the_activated_projection_is_h_to_4h_and_its_factor_is_gate() -> None:
    assert module_of("mlp.gate_proj") is Module.MLP_H_TO_4H
    assert module_of("mlp.up_proj") is Module.MLP_GATE
    assert module_of("mlp.down_proj") is Module.MLP_4H_TO_H


def test_every_hugging_face_name_leads_to_its_module() -> None:
    assert all(module_of(name) is module for module, name in HF_NAMES.items())


def test_gpt2_names_are_told_apart_by_where_they_are() -> None:
    assert module_of("attn.c_proj") is Module.ATTN_DENSE
    assert module_of("mlp.c_proj") is Module.MLP_4H_TO_H


def test_interleaved_heads_have_no_place() -> None:
    assert module_of("attention.query_key_value") is None


def test_fused_modules_are_made_of_split_ones() -> None:
    assert set().union(*PARTS.values()) < SPLIT_MODULES
    assert SPLIT_MODULES.isdisjoint(PARTS)
