"""Guessing goes no faster than it may, and stops nobody who is right."""

import pytest
from identities import NOW, credentials, directory_of, key_of, put, stranger

from serving.contract.api_keys import new_key
from serving.contract.errors import AddressLimited, ConchError, Unauthenticated
from serving.identity.guesses import Guesses
from serving.identity.identify import Credentials, Verifier, identify

AT_ONCE, REFILL_S = 10, 6.0


@pytest.fixture
def verifier() -> Verifier:
    return stranger(Guesses(at_once=AT_ONCE, refill_s=REFILL_S))


async def error_of(verifier: Verifier, presented: Credentials, now: float = NOW) -> ConchError:
    with pytest.raises(ConchError) as refused:
        await identify(presented, directory_of(), verifier, now)
    return refused.value


async def use_up(verifier: Verifier, address: str = "192.0.2.7") -> None:
    for _ in range(AT_ONCE):
        error = await error_of(verifier, credentials(new_key().text, address))
        assert isinstance(error, Unauthenticated)


async def test_after_ten_wrong_keys_the_eleventh_is_not_looked_at(verifier: Verifier) -> None:
    await use_up(verifier)
    error = await error_of(verifier, credentials(new_key().text))
    assert isinstance(error, AddressLimited)
    assert error.retry_after_s == pytest.approx(REFILL_S)


async def test_it_is_one_more_every_six_seconds(verifier: Verifier) -> None:
    await use_up(verifier)
    tries = [await error_of(verifier, credentials(new_key().text), NOW + s) for s in range(1, 61)]
    assert sum(isinstance(error, Unauthenticated) for error in tries) == 10
    await use_up_later(verifier, NOW + 60 + AT_ONCE * REFILL_S)


async def use_up_later(verifier: Verifier, now: float) -> None:
    errors = [await error_of(verifier, credentials(new_key().text), now) for _ in range(11)]
    assert [type(error) for error in errors] == [*[Unauthenticated] * 10, AddressLimited]


async def test_a_key_in_use_goes_on_while_its_address_is_refused(verifier: Verifier) -> None:
    presented, key = key_of()
    directory = directory_of(key)
    await identify(presented, directory, verifier, NOW)
    await use_up(verifier)
    for _ in range(20):
        assert await identify(presented, directory, verifier, NOW)


async def test_a_right_key_gives_back_what_it_took(verifier: Verifier) -> None:
    made = [key_of() for _ in range(50)]
    directory = directory_of(*(key for _, key in made))
    for presented, _ in made:
        assert await identify(presented, directory, verifier, NOW)
    await use_up(verifier)


async def test_the_same_wrong_key_again_is_no_new_guess(verifier: Verifier) -> None:
    presented, key = key_of()
    for _ in range(50):
        assert isinstance(await error_of(verifier, presented), Unauthenticated)
    await use_up_but_one(verifier)
    # And where it becomes right, it opens.
    assert await identify(presented, directory_of(key), verifier, NOW)


async def use_up_but_one(verifier: Verifier) -> None:
    errors = [await error_of(verifier, credentials(new_key().text)) for _ in range(AT_ONCE)]
    assert [type(error) for error in errors] == [*[Unauthenticated] * 9, AddressLimited]


async def test_a_revoked_key_that_goes_on_is_no_guess(verifier: Verifier) -> None:
    presented, key = key_of()
    await identify(presented, directory_of(key), verifier, NOW)
    for _ in range(50):
        assert isinstance(await error_of(verifier, presented), Unauthenticated)
    await use_up(verifier)


async def test_addresses_do_not_pay_for_one_another(verifier: Verifier) -> None:
    await use_up(verifier, "192.0.2.7")
    await use_up(verifier, "192.0.2.8")
    await use_up(verifier, "2001:db8::1")
    assert isinstance(
        await error_of(verifier, credentials(new_key().text, "2001:db8::ffff:2")), AddressLimited
    )
    await use_up(verifier, "2001:db8:0:1::1")


async def test_who_sends_nothing_has_not_guessed(verifier: Verifier) -> None:
    for _ in range(50):
        await error_of(verifier, Credentials(None, "192.0.2.7"))
    await use_up(verifier)


async def test_without_an_address_nothing_is_counted(verifier: Verifier) -> None:
    for _ in range(50):
        error = await error_of(verifier, credentials(new_key().text, None))
        assert isinstance(error, Unauthenticated)


async def test_a_clock_that_is_set_back_locks_nobody_out(verifier: Verifier) -> None:
    await use_up(verifier)
    error = await error_of(verifier, credentials(new_key().text), NOW - 7200)
    assert isinstance(error, AddressLimited)
    assert error.retry_after_s is not None
    assert error.retry_after_s <= REFILL_S
    waited = NOW - 7200 + AT_ONCE * REFILL_S
    assert isinstance(
        await error_of(verifier, credentials(new_key().text), waited), Unauthenticated
    )


async def test_what_fails_for_another_reason_is_no_guess() -> None:
    guesses = Guesses(at_once=1)
    for _ in range(3):
        with pytest.raises(ValueError, match="x"), guesses.one("192.0.2.7", b"f", NOW):
            raise ValueError("x")


async def test_a_wrong_key_that_is_made_good_opens_though_the_address_is_refused(
    verifier: Verifier,
) -> None:
    presented, key = key_of()
    await error_of(verifier, presented)
    await use_up_but_one(verifier)
    directory = directory_of()
    put(directory, key)
    assert await identify(presented, directory, verifier, NOW)
