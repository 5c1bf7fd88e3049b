"""Who comes in, and for what; governed by the policy, or by one key."""

import pytest
from identities import ACME, directory_of, key_of, stranger

from gateway.policy import Policy
from gateway.stages.auth import ALONE, Governed, Ungoverned, identify
from serving.contract.errors import Forbidden, Unauthenticated, Unavailable
from serving.contract.permissions import Permission, Role
from serving.contract.policy import Key
from serving.identity.identify import Credentials

ONE_KEY = Ungoverned.of("sk-right")


@pytest.mark.parametrize("header", [b"Bearer sk-right", b"bearer sk-right", b"BEARER  sk-right "])
async def test_without_governance_one_key_opens_everything(header: bytes) -> None:
    assert await identify(Credentials(header), ONE_KEY) is ALONE
    assert await identify(Credentials(header), ONE_KEY, Permission.MODELS_READ) is ALONE


@pytest.mark.parametrize(
    "header",
    [None, b"", b"sk-right", b"Basic sk-right", b"Bearer", b"Bearer sk-wrong", b"Bearer sk-righ",
     b"Bearer \xff\x00"],
)  # fmt: skip
async def test_without_governance_anything_else_is_refused(header: bytes | None) -> None:
    with pytest.raises(Unauthenticated):
        await identify(Credentials(header), ONE_KEY)


def test_neither_key_nor_digest_is_in_a_repr() -> None:
    assert repr(ONE_KEY) == "Ungoverned()"
    assert "sk-right" not in repr(Credentials(b"Bearer sk-right", "10.0.0.1"))


def governed(*keys: Key) -> Governed:
    policy = Policy()
    policy.take(directory_of(*ACME, *keys))
    return Governed(policy, stranger())


async def test_a_key_of_a_project_generates() -> None:
    presented, key = key_of(Role.SERVICE, tenant="acme", project="acme/web")
    principal = await identify(presented, governed(key))
    assert (principal.id, principal.project) == (f"key:{key.id}", "acme/web")


async def test_who_has_no_project_is_told_what_to_do_and_may_still_list_models() -> None:
    presented, key = key_of(Role.ADMIN, tenant="acme")
    gatekeeper = governed(key)
    with pytest.raises(Forbidden, match="use a key of a project"):
        await identify(presented, gatekeeper)
    assert (await identify(presented, gatekeeper, Permission.MODELS_READ)).tenant == "acme"


async def test_who_lacks_the_permission_is_told_which() -> None:
    presented, key = key_of(Role.VIEWER, tenant="acme", project="acme/web")
    with pytest.raises(Forbidden, match="'inference'"):
        await identify(presented, governed(key))


async def test_scopes_narrow_what_a_key_may_do() -> None:
    scopes = (Permission.MODELS_READ.value,)
    presented, key = key_of(Role.OWNER, tenant="acme", project="acme/web", scopes=scopes)
    gatekeeper = governed(key)
    await identify(presented, gatekeeper, Permission.MODELS_READ)
    with pytest.raises(Forbidden):
        await identify(presented, gatekeeper)


async def test_before_there_is_a_policy_the_client_is_asked_to_come_again() -> None:
    presented, _ = key_of(Role.SERVICE)
    with pytest.raises(Unavailable):
        await identify(presented, Governed(Policy(), stranger()))
