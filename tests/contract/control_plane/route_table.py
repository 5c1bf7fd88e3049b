"""The control plane's endpoints as tests go through them: by route, with ids put into the path."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute

from control_plane.access import Requirement, requirements
from control_plane.app import ROUTERS
from control_plane.edge import Edge
from control_plane.usage import query as usage_query
from serving.contract.api_keys import digest, new_key
from serving.contract.permissions import Role
from serving.contract.policy import Key, Secret

# What the framework would call by itself, and what it has beside the table.
FRAMEWORK = {"/openapi.json"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one route, and what its caller must have; None: nothing."""

    method: str
    route: APIRoute
    needs: Requirement | None

    @property
    def name(self) -> str:
        return f"{self.method} {self.route.path}"

    @property
    def is_list(self) -> bool:
        return self.method == "GET" and "{" not in self.route.path

    @property
    def body(self) -> Any:
        """The model of its body, or None."""
        field = self.route.body_field
        return None if field is None else field.field_info.annotation

    def path(self, ids: dict[str, str]) -> str:
        """With `ids` for its parameters; KeyError names one that the test knows nothing of."""
        return self.route.path.replace(":path}", "}").format_map(ids)

    @property
    def parameters(self) -> set[str]:
        """The names of all that can be said in the query."""
        return {
            each.alias
            for dependant in _with_inner(self.route.dependant)
            for each in dependant.query_params
        }


def endpoints(api: Edge) -> list[Endpoint]:
    """Every endpoint of the application."""
    return [
        Endpoint(method, route, needs)
        for route, needs in requirements(api.app)  # type: ignore[arg-type]
        for method in sorted(route.methods)
    ]


def routes_outside_the_table(api: Edge) -> set[str]:
    """Paths that are served without being in `requirements`."""
    known = {route.path for router in ROUTERS for route in router.routes}
    served = {getattr(route, "path", "") for route in api.app.routes}  # type: ignore[attr-defined]
    return served - known - {""}


def usage_parameters() -> set[str]:
    """What the usage endpoints read from the query by models of their own."""
    models = (
        usage_query.CompletionsQuery,
        usage_query.CostsQuery,
        usage_query.SpanQuery,
        usage_query.SummaryQuery,
    )
    return {name for model in models for name in model.model_fields}


def _with_inner(dependant: Any) -> Iterator[Any]:
    yield dependant
    for inner in dependant.dependencies:
        yield from _with_inner(inner)


def a_key(role: Role, pepper: bytes, **fields: Any) -> tuple[str, Key]:
    """A key in the clear, and its document."""
    made = new_key()
    return made.text, Key(made.id, "k", role, (Secret(digest(made, pepper)),), **fields)
