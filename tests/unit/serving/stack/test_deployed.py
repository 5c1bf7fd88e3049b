"""The engine behind a loaded model is read from Triton, and refused with every reason."""

import httpx
import pytest

from serving.contract.engine_kinds import EngineKind
from serving.contract.tensors import ENGINE_INPUTS, ENGINE_OUTPUTS
from serving.stack.deployed import check
from serving.stack.errors import StackError

BLS = {"name": "mine", "parameters": {"engine": {"string_value": "mine_engine"}}}


def specs(tensors):
    for tensor in tensors:
        reshape = {"reshape": {"shape": []}} if tensor.is_scalar else {}
        dtype, dims = f"TYPE_{tensor.dtype}", list(tensor.dims)
        yield {"name": tensor.name, "data_type": dtype, "dims": dims, "optional": True, **reshape}


ENGINE = {
    "name": "mine_engine",
    "backend": "python",
    "max_batch_size": 64,
    "input": list(specs(ENGINE_INPUTS)),
    "output": list(specs(ENGINE_OUTPUTS)),
    "model_transaction_policy": {"decoupled": True},
    "parameters": {"engine_kind": {"string_value": "trtllm-llmapi"}},
}


async def checked(bls, engine):
    def answer(request):
        config = {"mine": bls, "mine_engine": engine}[request.url.path.split("/")[3]]
        assert request.url.path.endswith("/config")
        return httpx.Response(400, text="no such model") if config is None else respond(config)

    def respond(config):
        return httpx.Response(200, json=config)

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://triton") as client:
        return await check(client, "mine")


async def refusal(bls, engine):
    with pytest.raises(StackError) as refused:
        await checked(bls, engine)
    return str(refused.value)


async def test_the_engine_is_the_one_that_the_bls_model_calls():
    assert await checked(BLS, ENGINE) is EngineKind.TRTLLM_LLMAPI


async def test_a_mismatch_is_refused_with_the_kind_and_the_reason():
    reason = await refusal(BLS, ENGINE | {"max_batch_size": 0})
    assert "trtllm-llmapi engine 'mine_engine'" in reason
    assert "max_batch_size is 0" in reason


async def test_many_mismatches_are_counted_and_the_first_few_told():
    reason = await refusal(BLS, ENGINE | {"output": []})
    assert reason.count("output '") == 5
    assert reason.endswith(f"; and {len(ENGINE_OUTPUTS) - 5} more")


async def test_what_is_no_engine_is_refused():
    assert "engine_kind" in await refusal(BLS, ENGINE | {"parameters": {}})


async def test_a_model_that_names_no_engine_is_refused():
    assert "'mine' names no engine" in await refusal({"name": "mine"}, ENGINE)


async def test_a_model_that_is_not_there_is_told_in_tritons_words():
    assert "no such model" in await refusal(BLS, None)
