"""The methods that tell about the server and its models. All but the probes need a key."""

from importlib.metadata import version
from typing import Any

from tritonclient.grpc import service_pb2

from gateway.gate import Gate
from gateway.kserve.models import Models
from gateway.kserve.rpc import Rpc
from gateway.stages.auth import identify
from gateway.telemetry import Record
from serving.contract.errors import ConchError, InvalidRequest
from serving.contract.permissions import Permission
from serving.contract.principal import Principal

EXTENSIONS = ("model_configuration", "binary_tensor_data", "parameters")


class About:
    """One method each of GRPCInferenceService; they raise ConchError."""

    def __init__(self, gate: Gate, models: Models) -> None:
        self._gate = gate
        self._models = models

    async def live(self, _rpc: Rpc, _record: Record) -> Any:
        """The process runs."""
        return service_pb2.ServerLiveResponse(live=True)

    async def ready(self, _rpc: Rpc, _record: Record) -> Any:
        """A model can answer."""
        try:
            is_ready = bool(await self._gate.catalogue.models())
        except ConchError:
            is_ready = False
        return service_pb2.ServerReadyResponse(ready=is_ready)

    async def server(self, rpc: Rpc, _record: Record) -> Any:
        await self._asked(rpc)
        return service_pb2.ServerMetadataResponse(
            name="conch", version=version("conch-llm"), extensions=EXTENSIONS
        )

    async def index(self, rpc: Rpc, _record: Record) -> Any:
        request, principal = await self._asked(rpc)
        if request.repository_name:
            raise InvalidRequest("there are no repositories to choose from; leave it out")
        return await self._models.index(principal)

    async def model_ready(self, rpc: Rpc, _record: Record) -> Any:
        request, principal = await self._asked(rpc)
        is_ready = await self._models.is_ready(request.name, request.version, principal)
        return service_pb2.ModelReadyResponse(ready=is_ready)

    async def model(self, rpc: Rpc, _record: Record) -> Any:
        request, principal = await self._asked(rpc)
        return await self._models.metadata(request.name, request.version, principal)

    async def config(self, rpc: Rpc, _record: Record) -> Any:
        request, principal = await self._asked(rpc)
        return await self._models.config(request.name, request.version, principal)

    async def _asked(self, rpc: Rpc) -> tuple[Any, Principal]:
        """The message of a caller that is known, and who that is."""
        principal = await identify(rpc.credentials, self._gate.gatekeeper, Permission.MODELS_READ)
        return await rpc.read_one(self._gate.settings.body_timeout_s), principal
