"""What a model's files say, where they may say it, and what is told when they do not."""

import json

import pytest

from serving.contract.calls import Sampling
from serving.text import model_files


def write(folder, **files):
    for name, content in files.items():
        path = folder / {"template": "chat_template.jinja"}.get(name, f"{name}.json")
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_the_demo_model_says_what_it_is(demo_model):
    assert model_files.context_length(demo_model) >= 512
    assert model_files.default_sampling(demo_model) == Sampling()
    assert "im_start" in model_files.chat_template(demo_model)


def test_a_folder_says_its_context(tmp_path):
    write(tmp_path, config={"max_position_embeddings": 4096, "vocab_size": 7})
    assert model_files.context_length(tmp_path) == 4096
    assert model_files.vocab_size(tmp_path) == 7


def test_a_multimodal_folder_says_its_texts_context(tmp_path):
    text_config = {"max_position_embeddings": 512, "vocab_size": 9}
    write(tmp_path, config={"text_config": text_config})
    assert model_files.context_length(tmp_path) == 512
    assert model_files.vocab_size(tmp_path) == 9


@pytest.mark.parametrize("ids", [7, [7, 8]])
def test_generation_config_goes_before_config(tmp_path, ids):
    write(tmp_path, generation_config={"eos_token_id": ids}, config={"eos_token_id": 1})
    assert model_files.end_ids(tmp_path) == ((7,) if ids == 7 else (7, 8))


def test_a_folder_without_an_end_is_named(tmp_path):
    with pytest.raises(ValueError, match=str(tmp_path)):
        model_files.end_ids(tmp_path)


def test_the_authors_sampling_is_taken(tmp_path):
    write(tmp_path, generation_config={"temperature": 0.6, "top_k": None, "top_p": 0.9, "x": 1})
    assert model_files.default_sampling(tmp_path) == Sampling(temperature=0.6, top_p=0.9)


def test_a_template_file_goes_before_the_tokenizers(tmp_path):
    write(tmp_path, template="file", tokenizer_config={"chat_template": "config"})
    assert model_files.chat_template(tmp_path) == "file"


def test_of_several_templates_the_default_is_taken(tmp_path):
    templates = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    write(tmp_path, tokenizer_config={"chat_template": templates})
    assert model_files.chat_template(tmp_path) == "d"


def test_a_folder_may_have_no_template(tmp_path):
    assert model_files.chat_template(tmp_path) is None


def test_special_tokens_are_texts_or_objects(tmp_path):
    tokens = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": None, "other": "x"}
    write(tmp_path, tokenizer_config=tokens)
    assert model_files.special_tokens(tmp_path) == {"bos_token": "<s>", "eos_token": "</s>"}


def test_a_broken_file_is_a_value_error(tmp_path):
    write(tmp_path, config="{")
    with pytest.raises(ValueError, match="Expecting"):
        model_files.context_length(tmp_path)
