"""Who may purge what of the cache."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.api.cache import Purge
from serving.contract.errors import Forbidden
from serving.contract.permissions import Role
from serving.contract.principal import Principal


def who(tenant: str | None = None, project: str | None = None) -> Principal:
    return Principal("key:k", "k", Role.OPERATOR, frozenset(), tenant=tenant, project=project)


SAID: dict[str, dict[str, str]] = {
    "model=demo": {"model": "demo"},
    "adapter=demo:pirate": {"adapter": "demo:pirate"},
    "tenant=acme": {"tenant": "acme"},
    "project=acme/web": {"project": "acme/web"},
    "session=acme/web/s": {"project": "acme/web", "session": "s"},
}
EVERYBODYS = ("model=demo", "adapter=demo:pirate")


@pytest.mark.parametrize("tag", SAID)
def test_the_organisation_purges_everything(tag):
    assert Purge(**SAID[tag]).of(who()) == tag


@pytest.mark.parametrize("tag", SAID)
def test_a_tenant_purges_its_own(tag):
    purge = Purge(**SAID[tag])
    if tag in EVERYBODYS:
        with pytest.raises(Forbidden):
            purge.of(who("acme"))
    else:
        assert purge.of(who("acme")) == tag
    with pytest.raises(Forbidden):
        purge.of(who("rival"))


@pytest.mark.parametrize("tag", SAID)
def test_a_project_purges_its_own(tag):
    purge = Purge(**SAID[tag])
    if tag in (*EVERYBODYS, "tenant=acme"):
        with pytest.raises(Forbidden):
            purge.of(who("acme", "acme/web"))
    else:
        assert purge.of(who("acme", "acme/web")) == tag
    with pytest.raises(Forbidden):
        purge.of(who("acme", "acme/api"))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"session": "s"},
        {"model": "demo", "tenant": "acme"},
        {"session": "s", "tenant": "acme"},
        {"adapter": "pirate"},
        {"adapter": "a:b:c"},
        {"model": ""},
        {"all": True},
    ],
)
def test_one_thing_is_purged_at_a_time(said: Any):
    with pytest.raises(ValidationError):
        Purge(**said)
