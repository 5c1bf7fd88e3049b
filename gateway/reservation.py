"""What one request wants to take from which quotas. Pure but for the time and a random id."""

import time
from collections.abc import Iterator

from gateway.ask import Ask
from gateway.bill import new_event_id
from gateway.cost import price_of
from gateway.estimates import Estimate, affordable
from gateway.telemetry import Record
from serving.contract.errors import Forbidden
from serving.contract.policy import (
    FREE,
    NO_LIMITS,
    Limits,
    LogPrivacy,
    Model,
    Price,
    Project,
    Tenant,
)
from serving.contract.principal import Principal
from serving.contract.quota import Reservation, Scope
from serving.contract.usage import Status, UsageEvent
from serving.identity.directory import Directory


def reservation(
    directory: Directory, principal: Principal, ask: Ask, record: Record, estimate: Estimate
) -> Reservation:
    """Raises Forbidden for who is bound to no tenant and project that are there."""
    tenant, project = bound(directory, principal)
    model, settings = directory.model(ask.model), directory.settings
    price = price_of(model, ask.adapter)
    scopes = tuple(_scopes(principal, tenant, project, model, price))
    limits = [model.limits, *(scope.limits for scope in scopes)]
    return Reservation(
        event=event_of(directory, principal, project, ask, record),
        scopes=scopes,
        input_tokens=estimate.prompt_tokens,
        output_tokens=affordable(estimate, limits),
        price=price,
        model_limits=None if model.limits == NO_LIMITS else model.limits,
        warn_at_percent=settings.warn_at_percent,
    )


def bound(directory: Directory, principal: Principal) -> tuple[Tenant, Project]:
    """Whose its usage is. Raises Forbidden."""
    tenant = None if principal.tenant is None else directory.tenant(principal.tenant)
    project = None if principal.project is None else directory.project(principal.project)
    if tenant is None or project is None or project.tenant != tenant.id:
        raise Forbidden(
            f"'{principal.id}' is bound to no project, and usage has to be somebody's: "
            "use a key of a project"
        )
    return tenant, project


def _scopes(
    principal: Principal, tenant: Tenant, project: Project, model: Model, price: Price
) -> Iterator[Scope]:
    """Those that limit something, and those whose spending a later budget has to know."""
    is_priced = price != FREE
    of_all: tuple[tuple[str, Limits], ...] = (
        (principal.id, principal.limits),
        (f"project:{project.id}", project.limits),
        ("tenant", tenant.limits),
    )
    for name, limits in of_all:
        if is_priced or limits != NO_LIMITS:
            yield Scope(name, limits)
    of_model = tenant.model_limits.get(model.id)
    if of_model is not None:
        yield Scope(f"model:{model.id}", of_model)


def event_of(
    directory: Directory, principal: Principal, project: Project, ask: Ask | None, record: Record
) -> UsageEvent:
    """What is known before it has run: it is `lost` unless somebody says how it ended.

    Without `ask` it could not be understood.
    """
    began_at = time.time() - record.age_s
    is_private = directory.privacy_of(project.id) is LogPrivacy.NONE
    return UsageEvent(
        id=new_event_id(began_at),
        request_id=record.request_id,
        began_at=began_at,
        tenant=project.tenant,
        project=project.id,
        principal=principal.id,
        endpoint=record.endpoint,
        model="" if ask is None else ask.model,
        adapter=None if ask is None else ask.adapter,
        status=Status.LOST,
        user=None if is_private or ask is None else ask.user,
        session=None if is_private or ask is None else ask.session,
    )
