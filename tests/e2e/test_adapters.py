"""Adapters from the command that adds one to the clients that ask for it, and to the bill."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from asking import PROMPT, by_grpc, by_rest
from governed import EFFECTIVE_S, Key, control_plane, made_key, new_key, opens_all_workers
from openai import OpenAI
from random_adapters import layers
from tritonclient.utils import InferenceServerException
from waiting import until

from serving.lora import peft_writing

SEEDS = {"e2e-one": 1, "e2e-two": 2}
ONE, TWO = SEEDS
WHOLE = {"min_tokens": 8}  # one that ends at once says nothing of its own
ARRIVED_S = 10.0
PRICE = {"input_nusd": 3, "cached_input_nusd": 3, "output_nusd": 5}


def told(stack: Any, *arguments: str) -> Any:
    """What a command says as JSON."""
    done = stack.conch(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def key(stack, tmp_path_factory) -> Iterator[Key]:
    """A key for any adapter, while there are two that were added to the model that runs."""
    made = made_key(stack, "adapted/web")
    for name, seed in SEEDS.items():
        folder = tmp_path_factory.mktemp(name)
        peft_writing.write(folder, layers(seed), "demo")
        (added,) = [told(stack, "adapters", "add", name, str(folder))]
        assert added["name"] == name
    until(lambda: opens_all_workers(stack, made.text), EFFECTIVE_S)
    yield made
    for name in SEEDS:
        assert stack.conch("adapters", "remove", name).returncode == 0


def client_of(stack: Any, key: Key) -> OpenAI:
    return OpenAI(base_url=stack.base_url, api_key=key.text, max_retries=0)


@pytest.fixture
def client(stack, key) -> Iterator[OpenAI]:
    with client_of(stack, key) as client:
        yield client


def asked(client: OpenAI, model: str, **more: Any) -> Any:
    return client.completions.create(
        model=model, prompt=PROMPT, max_tokens=8, temperature=0, extra_body=WHOLE | more
    )


def text_of(answer: Any) -> str:
    text: str = answer.choices[0].text
    return text


def test_adapters_are_listed_as_models(client, stack):
    parents = {model.id: model.parent for model in client.models.list()}
    assert parents[stack.model] is None
    assert {parents[f"{stack.model}:{name}"] for name in SEEDS} == {stack.model}
    assert client.models.retrieve(f"{stack.model}:{ONE}").root == stack.model


def test_each_answers_in_its_own_way_by_whichever_name(client, stack, key):
    bare, one, two = [
        asked(client, name)
        for name in (stack.model, f"{stack.model}:{ONE}", f"{stack.model}:{TWO}")
    ]
    assert [one.model, two.model] == [f"{stack.model}:{ONE}", f"{stack.model}:{TWO}"]
    assert len({text_of(answer) for answer in (bare, one, two)}) == 3
    by_field = asked(client, stack.model, adapter=ONE)
    assert (by_field.model, text_of(by_field)) == (one.model, text_of(one))
    options = {"max_tokens": 8, "temperature": 0.0, **WHOLE}
    said = {adapter: by_grpc(stack, key, adapter=adapter, **options) for adapter in (ONE, TWO, "")}
    assert said == {ONE: text_of(one), TWO: text_of(two), "": text_of(bare)}


def test_names_that_contradict_or_are_not_there_are_told(client, stack, key):
    with pytest.raises(openai.BadRequestError) as contradiction:
        asked(client, f"{stack.model}:{ONE}", adapter=TWO)
    assert contradiction.value.param == "adapter"
    with pytest.raises(openai.NotFoundError) as missing:
        asked(client, f"{stack.model}:nobody")
    assert (missing.value.code, missing.value.param) == ("adapter_not_found", "model")
    with pytest.raises(InferenceServerException) as by_wire:
        by_grpc(stack, key, adapter="nobody")
    assert by_wire.value.status() == "StatusCode.NOT_FOUND"


def test_a_key_uses_and_sees_its_own_adapters(stack, key):
    bound = new_key(stack, key.project, adapters=[ONE], models=[stack.model])
    with client_of(stack, bound) as client:
        assert {model.id for model in client.models.list()} == {
            stack.model,
            f"{stack.model}:{ONE}",
        }
        assert asked(client, f"{stack.model}:{ONE}").model == f"{stack.model}:{ONE}"
        refused = []
        for name in (TWO, "nobody"):
            with pytest.raises(openai.NotFoundError) as caught:
                asked(client, f"{stack.model}:{name}")
            refused.append(caught.value.message.replace(name, "…"))
    assert refused[0] == refused[1]


@pytest.fixture
def rules(stack) -> Iterator[None]:
    """The settings are put back, by the command."""
    version = told(stack, "policy", "show")["policy_version"]
    yield
    told(stack, "policy", "rollback", str(version))


@pytest.mark.usefixtures("rules")
def test_a_rule_gives_an_adapter_to_whom_it_is_for(stack, key):
    add = ("policy", "adapter-rules", "add", stack.model)
    told(stack, *add, TWO, "--project", key.project, "--contains", "SEA is")
    rules = told(stack, *add, "nobody", "--at", "1")
    assert [rule["adapter"] for rule in rules] == ["nobody", TWO]
    other, bound = made_key(stack, "default/default"), new_key(stack, key.project, adapters=[ONE])

    def model_of(who: Key, **more: Any) -> str:
        reply = by_rest(stack, who, **more)
        name: str = reply.json()["model"]
        return name

    until(lambda: model_of(key) == f"{stack.model}:{TWO}", EFFECTIVE_S)
    until(lambda: opens_all_workers(stack, other.text), EFFECTIVE_S)
    bare = [
        model_of(key, model=f"{stack.model}:"),
        model_of(key, adapter=""),
        model_of(key, prompt="Hello"),
        model_of(bound),
        model_of(other),
    ]
    assert set(bare) == {stack.model}
    assert model_of(key, adapter=ONE) == f"{stack.model}:{ONE}"
    told(stack, "policy", "adapter-rules", "remove", "2")
    until(lambda: model_of(key) == stack.model, EFFECTIVE_S)


@pytest.fixture
def priced(stack) -> Iterator[None]:
    path = f"/models/{stack.model}/prices"
    with control_plane(stack) as control:
        control.patch(path, json={"adapter_prices": {TWO: PRICE}})
        yield
        control.patch(path, json={"adapter_prices": {TWO: None}})


@pytest.mark.usefixtures("priced")
def test_usage_is_told_and_billed_by_adapter(stack, key):
    own = new_key(stack, "billed/web")
    with client_of(stack, own) as client:
        asked(client, stack.model)

        def is_priced() -> bool:
            asked(client, f"{stack.model}:{TWO}")
            return cost_of(stack, own.project) > 0

        # Gateways have a new price within a second: the first may be free.
        until(is_priced, ARRIVED_S)
    report = told(stack, "usage", "--project", own.project, "--by", "model,adapter")
    costs = {tuple(group["by"].values()): group["cost_nusd"] for group in report["groups"]}
    assert costs.keys() == {(stack.model, TWO), (stack.model, None)}
    assert costs[stack.model, None] == 0
    assert costs[stack.model, TWO] > 0


def cost_of(stack: Any, project: str) -> int:
    with control_plane(stack) as control:
        params = {"project_ids": project, "since": "1h", "by": "adapter"}
        cost: int = control.get("/usage/summary", params=params).json()["totals"]["cost_nusd"]
    return cost
