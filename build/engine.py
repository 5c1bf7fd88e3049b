"""Build a model out of a recipe: `python build/engine.py RECIPE`; the same as `conch build`."""

import sys

from serving.cli.main import app

if __name__ == "__main__":
    app(["build", *sys.argv[1:]])
