"""Documents survive their JSON, stay small in it, and share what they have in common."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.contract.permissions import Role
from serving.contract.policy import (
    KINDS,
    NO_LIMITS,
    Issuer,
    Key,
    Limits,
    Model,
    Price,
    Project,
    Secret,
    Settings,
    Tenant,
)
from serving.identity.documents import BadDocument, change_of, decode, encode, kind_of

st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
MAPPINGS = {
    Tenant: {"model_limits": st.dictionaries(st.text(), st.from_type(Limits), max_size=3)},
    Model: {"adapter_prices": st.dictionaries(st.text(), st.from_type(Price), max_size=3)},
    Issuer: {"roles": st.dictionaries(st.text(), st.sampled_from(Role), max_size=3)},
}
DOCUMENTS = st.one_of(
    *(st.from_type(kind) for kind in KINDS.values() if kind not in MAPPINGS),
    *(st.builds(kind, **fields) for kind, fields in MAPPINGS.items()),
)

KEY = Key("k", "a key", Role.SERVICE, (Secret("d"),), tenant="t", limits=Limits(burst_s=9))


@given(DOCUMENTS)
def test_a_document_survives_its_json(document):
    change = change_of(document)
    assert (change.kind, change.id) == (kind_of(document), document.id)
    assert decode(change.kind, change.document) == document


def test_only_what_is_not_default_is_written():
    assert orjson.loads(encode(KEY)) == {
        "id": "k",
        "name": "a key",
        "role": "service",
        "secrets": [{"digest": "d"}],
        "tenant": "t",
        "limits": {"burst_s": 9},
    }
    assert encode(Settings()) == b"{}"


def test_a_list_that_is_empty_is_not_one_that_is_absent():
    assert decode("key", encode(Key("k", "", Role.VIEWER, (), models=()))).models == ()
    assert decode("key", encode(Key("k", "", Role.VIEWER, ()))).models is None


def test_what_only_a_newer_version_knows_is_ignored():
    data = orjson.dumps(orjson.loads(encode(KEY)) | {"colour": {"of": "tomorrow"}})
    assert decode("key", data) == KEY


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"id": "k"}',
        encode(KEY)[:-1],
        encode(KEY).replace(b'"service"', b'"emperor"'),
        encode(KEY).replace(b"9", b'"nine"'),
    ],
)
def test_what_is_no_document_is_told_without_its_values(data):
    with pytest.raises(BadDocument) as refused:
        decode("key", data)
    assert "emperor" not in str(refused.value)
    assert "a key" not in str(refused.value)


def test_equal_parts_are_one_object():
    first, second = (decode("key", encode(KEY)) for _ in range(2))
    assert first.limits is second.limits
    assert first.tenant is second.tenant
    tenant = decode("tenant", encode(Tenant("t", "Team")))
    project = decode("project", encode(Project("t/p", "t", "Project")))
    assert tenant.limits == NO_LIMITS
    assert tenant.limits is project.limits
