"""What a service of Conch says when it refuses."""

import httpx


def refusal(response: httpx.Response) -> str:
    """The message of its error object, or else the status."""
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"
