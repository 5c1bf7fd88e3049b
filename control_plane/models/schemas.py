"""What is known of a model beside that it is deployed: prices and limits."""

from typing import Literal

from pydantic import Field

from control_plane.wire import UNSET, Body, ModelName, PriceBody, Second, View
from serving.contract.policy import Limits, Price


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
