"""all-MiniLM-L6-v2 as an OpenVINO graph, out of its weights: BERT, mean pooling, L2 norm."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

from serving.engines.embedding_weights import Weights

LAYERS, HEADS, WIDTH = 6, 12, 384
HEAD_WIDTH = WIDTH // HEADS
LAYER_NORM_EPS = 1e-12
MASKED = -1e4
Node = Any


def graph(weights: Weights) -> Any:
    """The tokens of all texts lie one after another: padding is computed in attention alone, which
    has a row a text. Output: [texts, WIDTH]. Inputs, int32 but for `mask`:

    `ids` and `positions` [tokens]; `rows` [texts, places], which token is in each place;
    `mask` float32 [texts, places], 1 where there is one; `back` [tokens], the place of each.
    """
    ids, positions, back = (_input(name, 1) for name in ("ids", "positions", "back"))
    rows, mask = _input("rows", 2), op.parameter([-1, -1], np.float32, "mask")
    shut = op.multiply(op.subtract(_number(1), mask), _number(MASKED))
    at = _Places(rows, back, op.unsqueeze(shut, _ints(1, 2)))
    states = _embedded(weights, ids, positions)
    for layer in range(LAYERS):
        states = _layer(_Part(weights, f"encoder.layer.{layer}."), states, at)
    vectors = _pooled(op.gather(states, rows, _int(0)), mask)
    return ov.Model([vectors], [ids, positions, rows, mask, back], "all-MiniLM-L6-v2")


@dataclass(frozen=True, slots=True)
class _Places:
    """How tokens get into rows and back; `bias` shuts the places that have none."""

    rows: Node
    back: Node
    bias: Node


class _Part:
    """The weights below one name."""

    def __init__(self, weights: Weights, prefix: str) -> None:
        self._weights, self._prefix = weights, prefix

    def __getitem__(self, name: str) -> Any:
        return self._weights[self._prefix + name]

    def linear(self, name: str, states: Node) -> Node:
        return _linear(states, self[f"{name}.weight"], self[f"{name}.bias"])

    def norm(self, name: str, states: Node) -> Node:
        even = op.mvn(states, _ints(-1), True, LAYER_NORM_EPS, "inside_sqrt")
        scaled = op.multiply(even, _constant(self[f"{name}.weight"]))
        return op.add(scaled, _constant(self[f"{name}.bias"]))


def _embedded(weights: Weights, ids: Node, positions: Node) -> Node:
    part = _Part(weights, "embeddings.")
    words = op.gather(_constant(part["word_embeddings.weight"]), ids, _int(0))
    # Every token is of the first sentence.
    known = part["position_embeddings.weight"] + part["token_type_embeddings.weight"][0]
    return part.norm("LayerNorm", op.add(words, op.gather(_constant(known), positions, _int(0))))


def _layer(part: _Part, states: Node, at: _Places) -> Node:
    attended = part.linear("attention.output.dense", _attention(part, states, at))
    states = part.norm("attention.output.LayerNorm", op.add(states, attended))
    inner = op.gelu(part.linear("intermediate.dense", states), "erf")
    return part.norm("output.LayerNorm", op.add(states, part.linear("output.dense", inner)))


def _attention(part: _Part, states: Node, at: _Places) -> Node:
    """One product makes queries, keys and values."""
    names = [f"attention.self.{name}" for name in ("query", "key", "value")]
    weight = np.concatenate([part[f"{name}.weight"] for name in names])
    offset = np.concatenate([part[f"{name}.bias"] for name in names])
    made = op.gather(_linear(states, weight, offset), at.rows, _int(0))
    made = op.reshape(made, _ints(0, 0, 3, HEADS, HEAD_WIDTH), True)
    heads = op.split(op.transpose(made, _ints(2, 0, 3, 1, 4)), _int(0), 3)
    query, key, value = (op.squeeze(head, _ints(0)) for head in heads.outputs())
    scale = _number(HEAD_WIDTH**-0.5)
    mixed = op.scaled_dot_product_attention(query, key, value, at.bias, scale, causal=False)
    places = op.reshape(op.transpose(mixed, _ints(0, 2, 1, 3)), _ints(-1, WIDTH), False)
    return op.gather(places, at.back, _int(0))


def _pooled(states: Node, mask: Node) -> Node:
    """The sum over the tokens: what the mean divides it by goes out with the norm."""
    counted = op.multiply(states, op.unsqueeze(mask, _ints(2)))
    return op.normalize_l2(op.reduce_sum(counted, _ints(1), False), _ints(1), 1e-24, "max")


def _linear(states: Node, weight: Any, bias: Any) -> Node:
    product = op.matmul(states, _constant(weight), transpose_a=False, transpose_b=True)
    return op.add(product, _constant(bias))


def _input(name: str, rank: int) -> Node:
    return op.parameter([-1] * rank, np.int32, name)


def _constant(value: Any) -> Node:
    return op.constant(np.ascontiguousarray(value))


def _number(value: float) -> Node:
    return op.constant(np.float32(value))


def _int(value: int) -> Node:
    return op.constant(np.int64(value))


def _ints(*values: int) -> Node:
    return op.constant(np.array(values, np.int64))
