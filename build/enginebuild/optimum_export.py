"""Run by a Python that has optimum-intel: `optimum_export.py SOURCE TARGET fp16|int8|int4`.

Imports nothing of Conch, which that Python may not have. Prints the versions that did it.
"""

import os
import sys
from importlib.metadata import version


def main(source: str, target: str, precision: str) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"  # the source is here; nothing else is wanted
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # it reports every import
    from optimum.commands.optimum_cli import (  # type: ignore[import-not-found,unused-ignore]
        main as optimum_cli,
    )

    options = ["--task", "text-generation-with-past", "--library", "transformers"]
    sys.argv = ["optimum-cli", "export", "openvino", "--model", source, *options]
    sys.argv += ["--weight-format", precision, target]
    optimum_cli()
    packages = ("optimum-intel", "nncf", "torch", "transformers")
    print(", ".join(f"{name} {version(name)}" for name in packages))


if __name__ == "__main__":
    main(*sys.argv[1:])
