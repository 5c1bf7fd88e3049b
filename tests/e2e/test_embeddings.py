"""Vectors from the whole stack, for the official `openai` client and for tritonclient."""

import asyncio
import base64
import re

import httpx
import numpy as np
import openai
import pytest
import tritonclient.grpc as triton
from embedding_reference import LONGEST, REFERENCES, TEXTS, cosines
from governed import Books, new_key
from openai import AsyncOpenAI
from tritonclient.utils import InferenceServerException
from waiting import until_async

from serving.contract.errors import from_wire

MODEL = "embedding"
WITHIN_S = 20.0
SPOKEN = [(place, text) for place, text in enumerate(TEXTS) if text]
TOKENS = sum(REFERENCES[place].tokens for place, _ in SPOKEN)


@pytest.fixture(scope="module")
async def client(stack):
    async with AsyncOpenAI(
        base_url=stack.base_url, api_key=stack.api_key, max_retries=0, timeout=60
    ) as client:
        yield client


def cosine(place, vector):
    return float(REFERENCES[place].vector @ np.asarray(vector))


async def post(stack, **body):
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        return await http.post(
            f"{stack.base_url}/embeddings",
            json={"model": MODEL, **body},
            headers=stack.authorization,
        )


async def test_a_list_of_texts_gets_its_vectors_in_order(client):
    made = await client.embeddings.create(model=MODEL, input=[text for _, text in SPOKEN])
    assert (made.object, made.model) == ("list", MODEL)
    assert [item.index for item in made.data] == [*range(len(SPOKEN))]
    pairs = zip(SPOKEN, made.data, strict=True)
    assert min(cosine(place, item.embedding) for (place, _), item in pairs) >= 0.9998
    assert (made.usage.prompt_tokens, made.usage.total_tokens) == (TOKENS, TOKENS)


async def test_numbers_and_base64_are_the_same_vector(client, stack):
    asked = {"model": MODEL, "input": TEXTS[0]}
    numbers = await client.embeddings.create(**asked, encoding_format="float")
    by_default = await client.embeddings.create(**asked)  # it asks for base64 and decodes it
    packed = (await post(stack, input=TEXTS[0], encoding_format="base64")).json()
    (bare,) = packed["data"]
    decoded = np.frombuffer(base64.b64decode(bare["embedding"]), "<f4")
    for vector in (numbers.data[0].embedding, by_default.data[0].embedding, decoded):
        assert len(vector) == 384
        assert cosine(0, vector) >= 0.9998


async def test_a_text_that_was_cut_says_so_and_is_counted_as_it_was_read(stack):
    made = (await post(stack, input=["short", LONGEST.text])).json()
    assert [item.get("is_truncated") for item in made["data"]] == [None, True]
    assert made["usage"]["prompt_tokens"] == 3 + LONGEST.tokens


async def test_more_texts_than_one_triton_request_takes_come_back_in_order(client):
    texts = [f"text number {number}" for number in range(300)]
    made = await client.embeddings.create(model=MODEL, input=texts)
    (alone,) = (await client.embeddings.create(model=MODEL, input=texts[263])).data
    nearest = np.array([item.embedding for item in made.data]) @ np.array(alone.embedding)
    assert (len(made.data), int(nearest.argmax())) == (300, 263)


@pytest.mark.parametrize(
    ("more", "param", "told"),
    [
        ({"input": []}, "input", "has 0 texts"),
        ({"input": ["a"] * 2049}, "input", "at most|1 to 2048"),
        ({"input": ""}, "input", "is empty"),
        ({"input": ["a", ""]}, "input", "text 1 of 'input' is empty"),
        ({"input": [101, 7592]}, "input", "token ids"),
        ({"input": [[101, 7592]]}, "input", "token ids"),
        ({"input": {"text": "a"}}, "input", "a string or a list of strings"),
        ({"input": "a", "dimensions": 256}, "dimensions", "the vectors have 384"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format", "float"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(stack, more, param, told):
    answer = await post(stack, **more)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert any(words in error["message"] for words in told.split("|"))


async def test_the_width_that_it_has_may_be_asked_for(client):
    made = await client.embeddings.create(model=MODEL, input="a", dimensions=384, user="u-1")
    assert len(made.data[0].embedding) == 384


@pytest.mark.parametrize("model", ["text-embedding-3-small", "demo", "demo_engine"])
async def test_a_model_that_embeds_nothing_is_not_there(client, model):
    with pytest.raises(openai.NotFoundError) as caught:
        await client.embeddings.create(model=model, input="a")
    assert caught.value.code == "model_not_found"


async def test_an_embedding_model_does_not_chat(client):
    with pytest.raises(openai.NotFoundError):
        await client.completions.create(model=MODEL, prompt="a")


async def test_without_a_key_nothing_is_embedded(stack):
    async with AsyncOpenAI(base_url=stack.base_url, api_key="sk-wrong", max_retries=0) as nobody:
        with pytest.raises(openai.AuthenticationError):
            await nobody.embeddings.create(model=MODEL, input="a")


def by_grpc(stack, texts, *outputs, authorization=None):
    array = np.array([[text.encode() for text in texts]], np.object_)
    tensor = triton.InferInput("text", array.shape, "BYTES").set_data_from_numpy(array)
    wanted = [triton.InferRequestedOutput(name) for name in outputs] or None
    address = f"127.0.0.1:{stack.variables['GATEWAY_GRPC_PORT']}"
    headers = authorization or {"authorization": f"Bearer {stack.api_key}"}
    with triton.InferenceServerClient(address) as client:
        return client.infer(MODEL, [tensor], outputs=wanted, headers=headers, request_id="e-1")


async def test_tritonclient_gets_the_same_through_the_gateway(stack):
    made = await asyncio.to_thread(by_grpc, stack, TEXTS)
    assert min(cosines(made.as_numpy("embedding")[0])) >= 0.9998
    assert made.as_numpy("token_count").tolist() == [[r.tokens for r in REFERENCES]]
    assert made.as_numpy("is_truncated").sum() == 1
    assert made.get_response().id == "e-1"


async def test_tritonclient_gets_the_outputs_it_asks_for(stack):
    made = await asyncio.to_thread(by_grpc, stack, ["a"], "token_count")
    assert [output.name for output in made.get_response().outputs] == ["token_count"]
    with pytest.raises(InferenceServerException) as caught:
        await asyncio.to_thread(by_grpc, stack, ["a"], "text_output")
    assert from_wire(caught.value.message()).param == "text_output"


def tokens_computed(stack):
    page = httpx.get(stack.triton_metrics_url, trust_env=False).text
    found = re.findall(r"^conch_embedding_tokens{.*} (\S+)", page, re.MULTILINE)
    return sum(map(float, found))


def events_of(stack, key):
    return Books.of(stack).rows(
        "SELECT endpoint, model, status, reason, prompt_tokens, completion_tokens "
        f"FROM usage_events WHERE principal = 'key:{key.id}' ORDER BY began_at"
    )


async def test_every_request_is_counted_however_it_ends_and_wherever_it_comes_from(stack):
    options = {"models": [MODEL], "limits": {"input_tokens_per_minute": 10**6}}
    key = await asyncio.to_thread(new_key, stack, "vectors/web", **options)
    asked = {"url": f"{stack.base_url}/embeddings", "headers": key.headers}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        whole = await http.post(**asked, json={"model": MODEL, "input": "hello"})
        assert int(whole.headers["x-ratelimit-limit-tokens"]) == 10**6
        await asyncio.to_thread(by_grpc, stack, ["hello"] * 2, authorization=key.headers)
        before = tokens_computed(stack)
        many = {"model": MODEL, "input": [LONGEST.text[:1500]] * 512}
        hung_up = asyncio.create_task(http.post(**asked, json=many))
        await until_async(lambda: tokens_computed(stack) > before, WITHIN_S)
        hung_up.cancel()
        await asyncio.gather(hung_up, return_exceptions=True)
        refused = await http.post(**asked, json={"model": MODEL, "input": ["word " * 1000] * 800})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_too_small")
    await until_async(lambda: len(events_of(stack, key)) == 4, WITHIN_S)
    assert tokens_computed(stack) - before < 512 * 256 / 2
    rest, grpc, cancelled, too_large = events_of(stack, key)
    assert (*rest.values(),) == ("embeddings", MODEL, "ok", None, 3, 0)
    assert (*grpc.values(),) == ("grpc", MODEL, "ok", None, 6, 0)
    assert (cancelled["status"], cancelled["completion_tokens"]) == ("cancelled", 0)
    assert cancelled["prompt_tokens"] > 0
    assert (too_large["status"], too_large["reason"]) == ("refused", "quota_too_small")
