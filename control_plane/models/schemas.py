"""What is known of a model beside that it is deployed: prices and limits."""

from typing import Literal, Self

from pydantic import Field

from control_plane.wire import UNSET, Body, ModelName, PriceBody, Second, View
from serving.contract.policy import Limits, Price
from serving.contract.principal import Principal


class Prices(Body):
    """Replaces what it names; null for an adapter: it costs what its model costs."""

    price: PriceBody = UNSET
    adapter_prices: dict[ModelName, PriceBody | None] = Field(default_factory=dict, max_length=256)


class ModelView(View):
    object: Literal["model"] = "model"
    id: str
    price: Price
    adapter_prices: dict[str, Price]
    limits: Limits
    created_at: Second

    def seen_by(self, caller: Principal) -> Self:
        """Without the adapters that the caller may not use."""
        if caller.adapters is None:
            return self
        prices = self.adapter_prices.items()
        mine = {name: price for name, price in prices if name in caller.adapters}
        return self.model_copy(update={"adapter_prices": mine})
