"""The demo model's files; properties on a bounded number of examples, for slow machines."""

from pathlib import Path

import pytest
from hypothesis import settings

from serving.text.tokenizer import Tokenizer

DEMO_MODEL = Path(__file__).parents[3] / "model_repository" / "demo_engine" / "1" / "model"

settings.register_profile("bounded", max_examples=25, deadline=None, print_blob=False)
settings.load_profile("bounded")


@pytest.fixture(scope="session")
def demo_model() -> Path:
    return DEMO_MODEL


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(DEMO_MODEL)
