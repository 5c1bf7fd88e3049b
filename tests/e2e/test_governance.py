"""Tenants, keys, quotas, prices and settings, from the commands that set them to the clients."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import psutil
import pytest
from asking import PROMPT, by_grpc, by_rest
from governed import EFFECTIVE_S, Key, control_plane, made_key, new_key, status_of
from openai import OpenAI
from ports import free_ports
from tritonclient.utils import InferenceServerException
from waiting import until

ARRIVED_S, STARTED_S = 10.0, 20.0
PRICE = {"input_nusd": 1_000_000, "cached_input_nusd": 100_000, "output_nusd": 10_000_000}


def told(stack: Any, *arguments: str) -> Any:
    """What a command says as JSON."""
    done = stack.conch(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def client_of(stack: Any, key: Key) -> OpenAI:
    return OpenAI(base_url=stack.base_url, api_key=key.text, max_retries=0)


@pytest.fixture(scope="module")
def other_gateway(stack, tmp_path_factory) -> Iterator[str]:
    """The address of a second one on the same stores."""
    port, grpc_port, metrics_port = free_ports(3)
    own = {
        "GATEWAY_PORT": str(port),
        "GATEWAY_GRPC_PORT": str(grpc_port),
        "GATEWAY_METRICS_PORT": str(metrics_port),
        "GATEWAY_STATE_DIR": str(tmp_path_factory.mktemp("gateway")),
    }
    environment = psutil.Process(stack.pid_of("gateway")).environ() | own
    command = (sys.executable, "-m", "gateway")
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            base_url = f"http://127.0.0.1:{port}/v1"
            until(lambda: is_open(base_url, stack.api_key), STARTED_S)
            yield base_url
        finally:
            process.terminate()


def is_open(base_url: str, key: str) -> bool:
    try:
        return status_of(base_url, key) == 200
    except httpx.TransportError:
        return False


def test_a_tenant_made_by_command_is_held_to_one_quota_by_rest_and_by_grpc(stack):
    told(stack, "tenants", "create", "second", "--requests-per-minute", "2")
    told(stack, "projects", "create", "second/web")
    made = told(stack, "keys", "create", "bot", "--project", "second/web")
    key = Key(made["id"], made["key"], "second/web")
    until(lambda: is_open(stack.base_url, key.text), EFFECTIVE_S)

    with client_of(stack, key) as client:
        ask = {"model": stack.model, "prompt": PROMPT, "max_tokens": 4}
        first = client.completions.with_raw_response.create(**ask)
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        assert by_grpc(stack, key)
        with pytest.raises(openai.RateLimitError) as refused:
            client.completions.create(**ask)
    assert refused.value.code == "quota_requests"
    assert "tenant 'second'" in refused.value.message
    headers = refused.value.response.headers
    assert 0 < int(headers["retry-after"]) <= 30
    assert headers["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(InferenceServerException) as refused_by_grpc:
        by_grpc(stack, key)
    assert refused_by_grpc.value.status() == "StatusCode.RESOURCE_EXHAUSTED"
    assert refused_by_grpc.value.message().startswith("quota_requests: ")


def test_a_revoked_key_opens_no_gateway_after_a_second(stack, other_gateway):
    key = new_key(stack, "default/default", name="revoked")
    gateways = stack.base_url, other_gateway
    until(lambda: {status_of(each, key.text) for each in gateways} == {200}, EFFECTIVE_S)
    with control_plane(stack) as control:
        control.post(f"/keys/{key.id}/revoke")
    until(lambda: {status_of(each, key.text) for each in gateways} == {401}, EFFECTIVE_S)
    with pytest.raises(InferenceServerException) as refused:
        by_grpc(stack, key)
    assert refused.value.status() == "StatusCode.UNAUTHENTICATED"


def test_a_rotated_key_opens_beside_the_new_one_for_as_long_as_they_overlap(stack):
    key = new_key(stack, "default/default", name="rotated")
    with control_plane(stack) as control:
        second = control.post(f"/keys/{key.id}/rotate", json={"overlap_s": 3600}).json()["key"]
        until(lambda: status_of(stack.base_url, second) == 200, EFFECTIVE_S)
        assert status_of(stack.base_url, key.text) == 200
        third = control.post(f"/keys/{key.id}/rotate", json={"overlap_s": 0}).json()["key"]
    until(lambda: status_of(stack.base_url, third) == 200, EFFECTIVE_S)
    assert [status_of(stack.base_url, old) for old in (key.text, second)] == [401, 401]


def test_a_key_is_good_only_where_and_for_what_it_was_given(stack):
    elsewhere = made_key(stack, "default/default", cidrs=["10.0.0.0/8"])
    until(lambda: status_of(stack.base_url, elsewhere.text) == 403, EFFECTIVE_S)
    here = new_key(stack, "default/default", cidrs=["127.0.0.0/8"], models=["another"])
    with client_of(stack, here) as client:
        assert list(client.models.list()) == []
        with pytest.raises(openai.NotFoundError):
            client.completions.create(model=stack.model, prompt=PROMPT)
    for key, status in ((elsewhere, "PERMISSION_DENIED"), (here, "NOT_FOUND")):
        with pytest.raises(InferenceServerException) as refused:
            by_grpc(stack, key)
        assert refused.value.status() == f"StatusCode.{status}"


@pytest.fixture
def priced(stack) -> Iterator[None]:
    free = dict.fromkeys(PRICE, 0)
    with control_plane(stack) as control:
        control.patch(f"/models/{stack.model}/prices", json={"price": PRICE})
        yield
        control.patch(f"/models/{stack.model}/prices", json={"price": free})


def cost_nusd(usage: Any) -> int:
    prompt, answer = usage.prompt_tokens, usage.completion_tokens
    return prompt * PRICE["input_nusd"] + answer * PRICE["output_nusd"]


def answered_until_refused(stack: Any, key: Key) -> tuple[list[Any], openai.RateLimitError]:
    answers = []
    with client_of(stack, key) as client:
        while True:
            ask = {"model": stack.model, "prompt": PROMPT, "max_tokens": 4, "user": "alice"}
            try:
                answers.append(client.completions.with_raw_response.create(**ask))
            except openai.RateLimitError as error:
                return answers, error


def test_what_was_used_is_shown_and_priced_until_the_budget_is_spent(stack, priced):
    limits = {"budget_nusd": 200_000_000, "soft_budget_nusd": 150_000_000}
    key = new_key(stack, "priced/web", limits=limits)
    answers, refusal = answered_until_refused(stack, key)
    assert refusal.code == refusal.type == "insufficient_quota"
    assert refusal.response.headers["x-should-retry"] == "false"
    assert "x-conch-warning" not in answers[0].headers
    assert "soft budget of $0.15" in answers[-1].headers["x-conch-warning"]
    used = [answer.parse().usage for answer in answers]
    cost = sum(map(cost_nusd, used))
    # What the refused request might have cost at most did not fit any more; the rest was spent.
    assert limits["budget_nusd"] / 2 < cost <= limits["budget_nusd"]

    shown = ("usage", "--project", key.project, "--since", "1h", "--by", "user,status")
    until(lambda: told(stack, *shown)["totals"]["requests"] == len(used) + 1, ARRIVED_S)
    totals = told(stack, *shown)["totals"]
    assert (totals["refused"], totals["cost_nusd"]) == (1, cost)
    assert "alice" in stack.conch(*shown).stdout
    assert_openai_shape_says(stack, key, used, cost)


def assert_openai_shape_says(stack: Any, key: Key, used: list[Any], cost: int) -> None:
    admin_key = (stack.var / "secrets" / "admin_key").read_text().strip()
    span = {"start_time": int(time.time()) - 3600, "project_ids": [key.project]}
    with OpenAI(base_url=f"{stack.control_url}/v1", api_key="", admin_api_key=admin_key) as client:
        usage = client.admin.organization.usage
        counted = [r for bucket in usage.completions(**span).data for r in bucket.results]
        costs = [r for bucket in usage.costs(**span).data for r in bucket.results]
    assert sum(result.num_model_requests for result in counted) == len(used)
    assert sum(result.input_tokens for result in counted) == sum(u.prompt_tokens for u in used)
    assert sum(r.output_tokens for r in counted) == sum(u.completion_tokens for u in used)
    assert sum(result.amount.value for result in costs) == pytest.approx(cost / 1e9)


@pytest.fixture
def settings(stack) -> Iterator[dict[str, Any]]:
    """The runtime settings; they are put back."""
    with control_plane(stack) as control:
        found = told(stack, "policy", "show")
        yield found
        version = {"version": found["policy_version"]}
        control.post("/policy/settings/rollback", json=version)


def test_settings_take_effect_within_a_second_and_roll_back(stack, settings):
    key = new_key(stack, "default/default", name="settings")

    def length() -> int:
        reply = by_rest(stack, key, max_tokens=None, temperature=0).json()
        tokens: int = reply["usage"]["completion_tokens"]
        return tokens

    told(stack, "policy", "set", "default_max_tokens=1", "max_tokens=5")
    until(lambda: length() == 1, EFFECTIVE_S)
    assert by_rest(stack, key, max_tokens=5).is_success
    assert by_rest(stack, key, max_tokens=6).status_code == 400
    told(stack, "policy", "rollback", str(settings["policy_version"]))
    until(lambda: by_rest(stack, key, max_tokens=6).is_success, EFFECTIVE_S)
    assert length() > 1
