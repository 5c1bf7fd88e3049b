"""What Locust runs: `locust -f loadtests/locustfile.py`; class names after it choose users."""

from loadtests.scenarios.chat import ChatUser
from loadtests.scenarios.completions import CompletionUser

__all__ = ["ChatUser", "CompletionUser"]
