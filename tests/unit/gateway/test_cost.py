"""What a request costs."""

from gateway.cost import cost_nusd, price_of
from serving.contract.policy import Model, Price

PRICE = Price(input_nusd=300, cached_input_nusd=30, output_nusd=1_500)


def test_prompt_cached_prompt_and_answer_have_a_price_each():
    cost = cost_nusd(PRICE, prompt_tokens=1_000, cached_tokens=400, completion_tokens=10)
    assert cost == 600 * 300 + 400 * 30 + 10 * 1_500


def test_no_more_is_cached_than_was_sent():
    assert cost_nusd(PRICE, prompt_tokens=10, cached_tokens=16, completion_tokens=0) == 300


def test_money_is_whole_whatever_its_size():
    dear = Price(output_nusd=10**12 + 1)
    assert cost_nusd(dear, prompt_tokens=0, cached_tokens=0, completion_tokens=10**9 + 1) == (
        10**21 + 10**12 + 10**9 + 1
    )


def test_an_adapter_may_have_a_price_of_its_own():
    model = Model("demo", PRICE, adapter_prices={"tuned": Price(output_nusd=2)})
    assert price_of(model, None) == PRICE
    assert price_of(model, "other") == PRICE
    assert price_of(model, "tuned") == Price(output_nusd=2)
