"""Operations on a model as JSON, both ways, and what is no operation."""

import pytest

from serving.contract import control
from serving.contract.control import (
    AdapterItem,
    Operation,
    decode_list,
    encode_list,
    encode_operation,
    parse_operation,
)
from serving.contract.errors import InvalidRequest

OPERATIONS = [
    Operation(control.LIST),
    Operation(control.STATS),
    Operation(control.ADD, "pirate", "/tmp/pirate"),
    *(Operation(op, "pirate") for op in (control.REMOVE, control.PIN, control.UNPIN, control.WARM)),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.op)
def test_an_operation_comes_back_as_it_was(operation):
    assert parse_operation(encode_operation(operation)) == operation


def test_a_list_comes_back_as_it_was():
    items = [AdapterItem("pirate", 2, "demo", 2**63 - 1, 8, True, False)]
    assert decode_list(encode_list(items)) == items


WRONG = {
    "not JSON": ("{", "not JSON"),
    "no object": ("[]", "needs 'op'"),
    "no operation": ("{}", "needs 'op'"),
    "an unknown one": ('{"op": "adapters.eat"}', "adapters.list"),
    "an odd one": ('{"op": []}', "needs 'op'"),
    "too little": ('{"op": "adapters.add", "name": "a"}', "name and op and path"),
    "too much": ('{"op": "adapters.list", "name": "a"}', "takes op"),
    "no text": ('{"op": "adapters.pin", "name": 7}', "each a string"),
    "nothing": ('{"op": "adapters.pin", "name": ""}', "each a string"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_is_no_operation_is_told_so(name):
    text, reason = WRONG[name]
    with pytest.raises(InvalidRequest, match=reason) as refused:
        parse_operation(text)
    assert refused.value.param == "control"
