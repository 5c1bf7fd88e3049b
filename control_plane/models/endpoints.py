"""/v1/models: prices of models and adapters, and limits over all tenants together."""

from typing import Annotated

from fastapi import APIRouter
from sqlalchemy import ColumnElement

from control_plane.access import requires
from control_plane.models import service
from control_plane.models.schemas import ModelView, Prices
from control_plane.plane import Session
from control_plane.store import rows
from control_plane.store.tables import models
from control_plane.wire import LimitsBody, ModelName, Page, Paged, paged
from serving.contract.permissions import Permission
from serving.contract.principal import Principal

router = APIRouter(prefix="/v1/models", tags=["models"])
Reader = Annotated[Principal, requires(Permission.MODELS_READ)]
Pricer = Annotated[Principal, requires(Permission.PRICES_WRITE, of_organisation=True)]
Limiter = Annotated[Principal, requires(Permission.LIMITS_WRITE, of_organisation=True)]


@router.get("")
async def list_models(caller: Reader, session: Session, paging: Paged) -> Page[ModelView]:
    """Those of which a price or a limit is set, and which the caller may use."""
    page = await paged(session, ModelView, models, paging, *_usable(caller))
    return page.model_copy(update={"data": [each.seen_by(caller) for each in page.data]})


@router.get("/{model}")
async def get_model(caller: Reader, session: Session, model: ModelName) -> ModelView:
    found = await rows.one(session, models, model, *_usable(caller))
    return ModelView.of(found).seen_by(caller)


@router.patch("/{model}/prices")
async def price_model(
    caller: Pricer, session: Session, model: ModelName, body: Prices
) -> ModelView:
    return ModelView.of(await service.price(session, caller, model, body))


@router.patch("/{model}/limits")
async def limit_model(
    caller: Limiter, session: Session, model: ModelName, body: LimitsBody
) -> ModelView:
    return ModelView.of(await service.limit(session, caller, model, body))


def _usable(caller: Principal) -> list[ColumnElement[bool]]:
    """What holds for the models that the caller may use."""
    return [] if caller.models is None else [models.c.id.in_(caller.models)]
