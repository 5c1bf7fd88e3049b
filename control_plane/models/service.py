"""Changes of models' prices and limits; the first one makes the entry."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.models.schemas import Prices
from control_plane.store import rows
from control_plane.store.edit import Edit, begin
from control_plane.store.tables import models
from control_plane.wire import LimitsBody
from serving.contract.policy import Model
from serving.contract.principal import Principal


async def price(session: AsyncSession, caller: Principal, model_id: str, body: Prices) -> Row[Any]:
    edit = await begin(session, caller.id)
    model = await _find(edit, model_id)
    named = body.adapter_prices
    others = {name: each for name, each in model.adapter_prices.items() if name not in named}
    adapters = others | {name: each.price() for name, each in named.items() if each is not None}
    own = body.price.price() if body.price else model.price
    return await _put(edit, replace(model, price=own, adapter_prices=adapters), "price")


async def limit(session: AsyncSession, caller: Principal, name: str, body: LimitsBody) -> Row[Any]:
    edit = await begin(session, caller.id)
    model = await _find(edit, name)
    return await _put(edit, replace(model, limits=body.over(model.limits)), "limit")


async def _find(edit: Edit, name: str) -> Model:
    return await edit.find(Model, name) or Model(name)


async def _put(edit: Edit, model: Model, action: str) -> Row[Any]:
    await edit.put(model, action=action)
    return await rows.one(edit.session, models, model.id)
