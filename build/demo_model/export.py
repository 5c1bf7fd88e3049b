"""Write a trained model to serve: `python build/demo_model/export.py --run DIR --out DIR`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from checkpoint import TOKENIZER, load
from model import LlamaConfig
from template import CHAT_TEMPLATE
from tokenizer import END

sys.path.append(str(Path(__file__).resolve().parents[1]))

from enginebuild import gguf_llama

FILES = ("demo.gguf", "tokenizer.json", "chat_template.jinja")
MODEL_NAME = "Conch demo"


def gguf_config(config: LlamaConfig) -> gguf_llama.LlamaConfig:
    """The same shape in the exporter's words."""
    known = config.as_dict()
    del known["head_dim"]
    return gguf_llama.LlamaConfig(**known)  # type: ignore[arg-type]


def write_files(run: Path, out: Path) -> None:
    """Write the three files into a folder."""
    model, _ = load(run)
    shutil.copyfile(run / TOKENIZER, out / "tokenizer.json")
    (out / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    gguf_llama.write_llama(
        out / "demo.gguf",
        gguf_config(model.config),
        {name: tensor.numpy() for name, tensor in model.state_dict().items()},
        out / "tokenizer.json",
        eos_token=END,
        name=MODEL_NAME,
        chat_template=CHAT_TEMPLATE,
    )


def main() -> None:
    """Write aside and rename, so that a reader never sees half a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--out", type=Path, required=True, help="folder for the three files")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent) as aside:
        write_files(options.run, Path(aside))
        for name in FILES:
            (Path(aside) / name).replace(options.out / name)
            print(f"{name}: {(options.out / name).stat().st_size} bytes")


if __name__ == "__main__":
    main()
