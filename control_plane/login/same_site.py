"""Whether a request that a browser sent with its cookie was meant by the person before it. Pure."""

from collections.abc import Mapping

from serving.contract.errors import Forbidden

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def check_origin(method: str, headers: Mapping[str, str], origin: str) -> None:
    """Raises Forbidden for a request that could change something and is not of our own pages.

    Browsers say where a request comes from, in one header or the other, and no page can lie there.
    Who says nothing is no browser, and has a key to send instead of a cookie.
    """
    if method in SAFE:
        return
    site, from_ = headers.get("sec-fetch-site"), headers.get("origin")
    is_ours = from_ == origin if from_ is not None else site == "same-origin"
    if not is_ours or site not in (None, "same-origin"):
        raise Forbidden(f"a session changes things from pages of {origin} only; use an API key")
