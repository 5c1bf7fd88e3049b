"""Put adapters into the demo's registry: `python build/demo_model/publish_adapters.py pirate`.

Runs where Conch is installed; it needs no torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from serving.lora.fit import LoraLimits
from serving.lora.modules import Module
from serving.lora.shape import shape_of
from serving.lora.source import BaseModel
from serving.lora.store import AdapterStore

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = Path(__file__).parent / "adapters"
MODEL = ROOT / "model_repository" / "demo_engine" / "1" / "model"
REGISTRY = ROOT / "model_repository" / "demo" / "1" / "adapters"
BASE = "demo"
MODULES = frozenset({
    Module.ATTN_Q, Module.ATTN_K, Module.ATTN_V, Module.ATTN_DENSE,
    Module.MLP_H_TO_4H, Module.MLP_GATE, Module.MLP_4H_TO_H,
})  # fmt: skip


def main() -> None:
    """Add each named adapter as its next version; the same content makes none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help="folders under adapters/")
    options = parser.parse_args()
    base = BaseModel(BASE, shape_of(MODEL), LoraLimits(max_rank=64, modules=MODULES))
    store = AdapterStore(base, shipped=REGISTRY, own=REGISTRY)
    for name in options.names:
        stored = store.add(name, ADAPTERS / name)
        print(f"{stored.folder}: task id {stored.record.task_id}, rank {stored.record.rank}")


if __name__ == "__main__":
    main()
