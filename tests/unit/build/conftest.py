"""The demo model's scripts import one another by their bare names, as they do when run."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3] / "build" / "demo_model"))
