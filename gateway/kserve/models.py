"""The models that clients may know of, described in Triton's own words less what is not theirs."""

import time
from typing import Any

from tritonclient.grpc import model_config_pb2, service_pb2

from gateway.gate import Gate
from gateway.kserve.inputs import NOT_FOR_CLIENTS
from gateway.stages.choose import check, split
from gateway.stages.route import FRESH_S, route
from serving.contract.errors import AdapterNotFound, ModelNotFound
from serving.contract.principal import Principal

# Models beside those that generate. All others (engines, ensembles) look as if they were not there.
EXPOSED = ("embedding",)


class Models:
    """Raises ModelNotFound for a model or version that is not there, or not for clients."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._versions: dict[str, tuple[str, float]] = {}

    async def index(self, principal: Principal) -> Any:
        """Every model that can answer the principal."""
        response = service_pb2.RepositoryIndexResponse()
        for name in (*await self._gate.catalogue.models(), *EXPOSED):
            try:
                version = await self._visible(name, "", principal)
            except ModelNotFound:
                continue
            response.models.add(name=name, version=version, state="READY")
        return response

    async def is_ready(self, name: str, version: str, principal: Principal) -> bool:
        try:
            name = await self._model_of(name, principal)
            await self._visible(name, version, principal)
        except (ModelNotFound, AdapterNotFound):
            return False
        return name in EXPOSED or name in await self._gate.catalogue.models()

    async def metadata(self, name: str, version: str, principal: Principal) -> Any:
        name = await self._model_of(name, principal)
        await self._visible(name, version, principal)
        metadata = await self._gate.triton.metadata(name)
        _drop(metadata.inputs)
        _drop(metadata.outputs)
        return metadata

    async def config(self, name: str, version: str, principal: Principal) -> Any:
        name = await self._model_of(name, principal)
        await self._visible(name, version, principal)
        return service_pb2.ModelConfigResponse(
            config=_for_clients(await self._gate.triton.config(name))
        )

    async def _model_of(self, name: str, principal: Principal) -> str:
        """An adapter looks as its model does; raises AdapterNotFound where it is not there."""
        model, adapter = split(name)
        if adapter:
            catalogue, adapters = self._gate.catalogue, self._gate.adapters
            await check(model, adapter, principal, catalogue, adapters, param="model")
        return model

    async def _visible(self, name: str, asked: str, principal: Principal) -> str:
        """The version of a model that the principal may know of; `asked` is "" for any."""
        if name not in EXPOSED or not principal.can_use(name):
            await route(name, principal, self._gate.catalogue)
        return await self.version(name, asked=asked)

    async def version(self, name: str, *, asked: str = "") -> str:
        """The version that answers; `asked` must be that one where it is given."""
        known, fresh_until = self._versions.get(name, ("", 0.0))
        if time.monotonic() > fresh_until:
            known = await self._newest(name)
            self._versions[name] = known, time.monotonic() + FRESH_S
        if asked not in ("", known):
            raise ModelNotFound(
                f"version '{asked[:16]}' of model '{name}' is not deployed; version {known} is",
                param="model_version",
            )
        return known

    async def _newest(self, name: str) -> str:
        versions = (await self._gate.triton.metadata(name)).versions
        return max(versions, key=int, default="")


def _for_clients(config: Any) -> Any:
    """What a request must look like; the rest is about the server: files, instances, engines."""
    return model_config_pb2.ModelConfig(
        name=config.name,
        platform=config.platform,
        backend=config.backend,
        max_batch_size=config.max_batch_size,
        input=[tensor for tensor in config.input if tensor.name not in NOT_FOR_CLIENTS],
        output=[tensor for tensor in config.output if tensor.name not in NOT_FOR_CLIENTS],
        model_transaction_policy=config.model_transaction_policy,
    )


def _drop(tensors: Any) -> None:
    kept = [tensor for tensor in tensors if tensor.name not in NOT_FOR_CLIENTS]
    del tensors[:]
    tensors.extend(kept)
