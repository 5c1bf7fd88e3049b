"""What a request costs, in nanodollars. Pure."""

from serving.contract.policy import Model, Price


def price_of(model: Model, adapter: str | None) -> Price:
    """The adapter's own price where it has one."""
    return model.adapter_prices.get(adapter, model.price) if adapter else model.price


def cost_nusd(
    price: Price, *, prompt_tokens: int, cached_tokens: int, completion_tokens: int
) -> int:
    """`cached_tokens` are those of the prompt that need not be computed again."""
    cached = min(cached_tokens, prompt_tokens)
    return (
        (prompt_tokens - cached) * price.input_nusd
        + cached * price.cached_input_nusd
        + completion_tokens * price.output_nusd
    )
