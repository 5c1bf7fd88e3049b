"""What is written as lines is read back whole, or not at all."""

import asyncio

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.adapters import aside, policy_lines
from serving.adapters.policy_lines import Malformed
from serving.contract.policy import Change, Version

# Whatever a name is made of, also of what the lines themselves are made of.
NAMES = st.text() | st.sampled_from([',"document":', '"}', "}\n{", "\\"])
DOCUMENTS = st.none() | st.dictionaries(NAMES, NAMES, max_size=2).map(orjson.dumps)
CHANGES = st.lists(st.builds(Change, NAMES, NAMES, DOCUMENTS), max_size=3).map(tuple)
VERSIONS = st.builds(Version, NAMES, st.integers(0, 2**63))


@given(VERSIONS, CHANGES)
def test_what_was_written_is_read(version, changes):
    async def both_ways():
        return await policy_lines.read(await policy_lines.write(version, changes))

    assert asyncio.run(both_ways()) == (version, changes)


async def test_more_than_fits_one_piece_keeps_its_order():
    changes = tuple(Change("key", str(n), b"{}") for n in range(3 * aside.PIECE + 1))
    data = await policy_lines.write(Version("e", 1), changes)
    assert len(data) > policy_lines.SHORT
    assert await policy_lines.read(data) == (Version("e", 1), changes)


async def test_what_was_torn_anywhere_is_refused():
    data = await policy_lines.write(Version("e", 1), [Change("key", "k", b"{}")])
    for length in range(len(data) - 1):  # without its last line break it is whole still
        with pytest.raises(Malformed):
            await policy_lines.read(data[:length])


@pytest.mark.parametrize(
    "lines",
    [
        [b"[]"],
        [b"no JSON"],
        [b'{"conch_policy":2,"epoch":"e","number":1}'],
        [b'{"conch_policy":1,"epoch":"e","number":1}', b'{"kind":"key"}'],
        [b'{"conch_policy":1,"epoch":"e","number":1}', b"7"],
    ],
)
async def test_what_is_sealed_but_of_another_format_is_refused(lines):
    with pytest.raises(Malformed):
        await policy_lines.read(policy_lines._sealed(lines))
