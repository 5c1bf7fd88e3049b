import httpx
import pytest

from serving.stack import repository
from serving.stack.errors import StackError
from serving.stack.repository import load_order, without_other_bases

DEMO = ["demo", "demo_engine", "demo_ensemble", "demo_postprocessing", "demo_preprocessing"]


class FakeTriton:
    """The repository API: an ensemble brings its engine along; `broken` models do not load."""

    def __init__(self, names, broken=()):
        self.states = dict.fromkeys(names)
        self.broken = set(broken)
        self.loads = []

    def __call__(self, request):
        if request.url.path == "/v2/repository/index":
            return httpx.Response(200, json=[self.entry(name) for name in self.states])
        name = request.url.path.split("/")[-2]
        self.loads.append(name)
        brought = [name, name.replace("_ensemble", "_engine")]
        for each in brought:
            self.states[each] = "UNAVAILABLE" if each in self.broken else "READY"
        if self.broken.intersection(brought):
            return httpx.Response(400, json={"error": f"failed to load '{name}'"})
        return httpx.Response(200)

    def entry(self, name):
        state = self.states[name]
        reason = {"reason": "boom: no weights\n\nAt:\n  model.py(3)"} if name in self.broken else {}
        return {"name": name} | ({"state": state, **reason} if state else {})

    async def load(self, **options):
        given = {"base": "demo", "is_alone": False, "timeout_s": 5, "on_load": lambda _: None}
        transport = httpx.MockTransport(self)
        async with httpx.AsyncClient(transport=transport, base_url="http://triton") as client:
            await repository.load(client, **given | options)


def test_order_is_ensembles_engines_callers():
    assert load_order([*DEMO, "embedding"]) == [
        ["demo_ensemble"],
        ["demo_engine"],
        ["demo", "demo_postprocessing", "demo_preprocessing", "embedding"],
    ]


def test_models_of_another_base_are_left_out_and_shared_ones_kept():
    names = [*DEMO, "mine", "mine_engine", "embedding"]
    assert without_other_bases(names, "mine") == ["mine", "mine_engine", "embedding"]


async def test_model_that_an_ensemble_brought_is_not_loaded_again():
    triton = FakeTriton(DEMO)
    await triton.load()
    assert triton.loads == ["demo_ensemble", "demo", "demo_postprocessing", "demo_preprocessing"]


async def test_failed_load_names_the_model_at_fault_and_its_reason_without_trace():
    triton = FakeTriton(DEMO, broken=["demo_engine"])
    with pytest.raises(StackError) as caught:
        await triton.load()
    assert str(caught.value) == "model 'demo_engine' fails to load: boom: no weights"


async def test_missing_base_model_is_told_with_its_variable():
    with pytest.raises(StackError, match=r"no model 'other' .* CONCH_MODEL_NAME"):
        await FakeTriton(DEMO).load(base="other")


async def test_server_that_goes_away_is_a_stack_error():
    def gone(_request):
        raise httpx.ReadError("gone")

    transport = httpx.MockTransport(gone)
    async with httpx.AsyncClient(transport=transport, base_url="http://triton") as client:
        with pytest.raises(StackError, match="went away"):
            await repository.load(
                client, base="demo", is_alone=False, timeout_s=1, on_load=lambda _: None
            )
