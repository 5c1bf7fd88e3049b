"""What gateways know of runs of calls, and whose approval a call waits for, on a real Redis."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_server import serving
from ports import free_ports
from quota_world import METRICS, World, a_principal
from starlette.routing import Router
from stores import folder
from structlog.testing import capture_logs
from typer.testing import CliRunner

from gateway.api.approvals import routes
from gateway.api.edge import Edge
from gateway.ask import Ask
from gateway.settings import GatewaySettings
from gateway.stages.passed_on import passing_on
from gateway.stages.tool_runs import ToolRuns, open_tool_runs
from serving.adapters.redis import connect
from serving.adapters.tool_approvals import ApprovalStore
from serving.cli.approvals import approvals
from serving.contract.approvals import Approval, ApprovalStatus, approval_of, new_ask_id
from serving.contract.calls import Call, Chunk
from serving.contract.errors import ApprovalDenied, Unauthenticated, Unavailable
from serving.contract.guardrails import Action, Check, CheckKind, GuardrailPolicy, OnFailure
from serving.contract.permissions import Role, permissions_of
from serving.contract.principal import Principal
from serving.contract.tool_runs import NOTHING, ToolRun
from serving.contract.tools import ToolCallDelta
from serving.guardrails.tools.calls import ToolCall
from serving.identity.addresses import AddressLoad
from serving.identity.identify import Credentials
from serving.stack.redis import RedisServer

LIMITED = Check(CheckKind.TOOL_CALLS, Action.BLOCK, max_calls=9)
RATED = Check(CheckKind.TOOL_CALLS, Action.BLOCK, tools=("send",), calls_per_minute=5)
ASKED = Check(CheckKind.TOOL, Action.ASK, tools=("send",))
POLICY = GuardrailPolicy("p", (LIMITED, RATED, ASKED))
CLOSED = replace(POLICY, on_failure=OnFailure.CLOSED)
SILENT = GuardrailPolicy("silent", (Check(CheckKind.INJECTION, Action.BLOCK),))
TOOLS = tuple({"type": "function", "function": {"name": name}} for name in ("send", "read"))
USER = {"role": "user", "content": "go"}


def an_ask(*messages: Any, session: str | None = "acme/web/s", **more: Any) -> Ask:
    call = Call(messages=messages or (USER,), tools=TOOLS, session=session)
    return Ask("demo", (call,), **more)


def answered(call: ToolCall) -> tuple[Any, ...]:
    function = {"name": call.name, "arguments": call.arguments}
    made = {"role": "assistant", "tool_calls": [{"id": call.id, "function": function}]}
    return USER, made, {"role": "tool", "tool_call_id": call.id, "content": "done"}


def a_call(name: str = "send", id_: str | None = None) -> ToolCall:
    return ToolCall(name, '{"to": "a@b.c"}', id_ or new_ask_id())


def passed(runs: ToolRuns, ask: Ask, *calls: ToolCall, who: Principal | None = None) -> None:
    """An answer that makes `calls`."""
    with passing_on(runs, who or a_principal(), ask, POLICY) as seen:
        assert seen is not None
        for place, call in enumerate(calls):
            delta = ToolCallDelta(place, call.id, call.name, call.arguments)
            seen.saw(Chunk(tool_calls=(delta,)))
            seen.saw(Chunk(text="x"))


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    with folder() as root:
        made = World(RedisServer(root / "redis", root / "r.sock"), root / "spool")
        await made.start()
        yield made
        await made.kill()


@pytest.fixture
async def runs(world: World) -> AsyncIterator[ToolRuns]:
    async with connect(world.settings) as redis:
        await redis.flushall()
        async with open_tool_runs(redis, timeout_s=1.0) as opened:
            yield opened


async def known(runs: ToolRuns, ask: Ask, policy: GuardrailPolicy = POLICY) -> ToolRun:
    return await runs.known(a_principal(), ask, policy)


async def until_known(runs: ToolRuns, ask: Ask, expected: ToolRun) -> None:
    async with asyncio.timeout(5):
        while await known(runs, ask) != expected:
            await asyncio.sleep(0.01)


async def waits(runs: ToolRuns, tenant: str = "acme") -> Approval:
    """The one call that waits, once Redis knows of it."""
    async with asyncio.timeout(5):
        while not (found := await runs.approvals.waiting(tenant, None, 9)):
            await asyncio.sleep(0.01)
    (one,) = found
    return one


async def test_calls_that_were_passed_on_are_known_to_the_next_request(runs: ToolRuns):
    passed(runs, an_ask(), a_call(id_="c1"), a_call("read", "c2"))
    await until_known(runs, an_ask(), ToolRun((), False, 2, {"send": 4}))
    await until_known(runs, an_ask(session=None), ToolRun((), False, 0, {"send": 4}))


async def test_an_untrusted_text_taints_its_session_even_without_calls(runs: ToolRuns):
    passed(runs, an_ask(*answered(a_call("read", "c1"))))
    await until_known(runs, an_ask(), ToolRun((), True, 0, {"send": 5}))


async def test_of_the_calls_that_the_client_does_not_get_none_count(runs: ToolRuns):
    passed(runs, an_ask(is_one_call=True), a_call("read", "c1"), a_call("send", "c2"))
    await until_known(runs, an_ask(), ToolRun((), False, 1, {"send": 5}))


async def test_a_call_that_asks_waits_and_goes_on_once_it_is_approved(runs: ToolRuns):
    call = a_call()
    passed(runs, an_ask(), call)
    waiting = await waits(runs)
    assert (waiting.id, waiting.tool, waiting.arguments) == (call.id, "send", call.arguments)
    assert (waiting.project, waiting.principal) == ("acme/web", "key:k1")
    next_turn = an_ask(*answered(call))
    assert (await known(runs, next_turn)).approved == ()
    await runs.approvals.decide(waiting, ApprovalStatus.APPROVED, "user:ann", "")
    assert (await known(runs, next_turn)).approved == (approval_of(call.id or "", call.digest),)
    assert (await known(runs, an_ask())).approved == ()


async def test_a_call_that_was_denied_stops_its_conversation(runs: ToolRuns):
    call = a_call()
    passed(runs, an_ask(), call)
    waiting = await waits(runs)
    await runs.approvals.decide(waiting, ApprovalStatus.DENIED, "user:ann", "no")
    with pytest.raises(ApprovalDenied, match=call.id):
        await known(runs, an_ask(*answered(call)))
    assert (await known(runs, an_ask())).approved == ()


async def test_an_approval_of_another_tenant_is_none(runs: ToolRuns):
    call = a_call()
    other = a_principal(tenant="rival", project="rival/web")
    passed(runs, an_ask(), call, who=other)
    waiting = await waits(runs, "rival")
    await runs.approvals.decide(waiting, ApprovalStatus.APPROVED, "user:eve", "")
    assert (await known(runs, an_ask(*answered(call)))).approved == ()


async def test_a_policy_that_says_nothing_of_calls_asks_nobody(runs: ToolRuns):
    assert await known(runs, an_ask(*answered(a_call())), SILENT) is NOTHING
    with passing_on(runs, a_principal(), an_ask(), SILENT) as seen:
        assert seen is None
    without_tools = Ask("demo", (Call(messages=(USER,), session="s"),))
    assert await known(runs, without_tools) is NOTHING


async def test_without_redis_the_policy_says_what_counts(world: World):
    gone = RedisServer(Path("/nowhere"), Path("/nowhere/r.sock"))
    async with (
        connect(World(gone, world.spool).settings) as redis,
        open_tool_runs(redis, timeout_s=0.5) as runs,
    ):
        assert await known(runs, an_ask()) is NOTHING
        with pytest.raises(Unavailable):
            await known(runs, an_ask(), CLOSED)
        with pytest.raises(Unavailable):
            await known(runs, an_ask(*answered(a_call())))
        with capture_logs() as logs:
            passed(runs, an_ask(), a_call())
            async with asyncio.timeout(5):
                while not any(entry["event"] == "approval_lost" for entry in logs):
                    await asyncio.sleep(0.01)


KEYS = {
    "operator": a_principal(role=Role.OPERATOR, permissions=permissions_of(Role.OPERATOR)),
    "admin": replace(
        a_principal(role=Role.ADMIN, permissions=permissions_of(Role.ADMIN)), project=None
    ),
    "agent": a_principal(),
    "viewer": a_principal(role=Role.VIEWER, permissions=permissions_of(Role.VIEWER)),
    "other": a_principal(project="acme/b", role=Role.ADMIN, permissions=permissions_of(Role.ADMIN)),
    "rival": a_principal(tenant="rival", project=None, permissions=permissions_of(Role.ADMIN)),
    "owner": a_principal(tenant=None, project=None, permissions=permissions_of(Role.OWNER)),
}


class _Gatekeeper:
    async def admit(self, credentials: Credentials) -> Principal:
        name = (credentials.authorization or b"").decode().removeprefix("Bearer ")
        if name not in KEYS:
            raise Unauthenticated("no such key")
        return KEYS[name]


class _Gate:
    """What of a gate these endpoints look at."""

    settings = GatewaySettings(governed=False, api_key="k")
    gatekeeper = _Gatekeeper()
    load = AddressLoad(connections=9, body_bytes=1_000_000, exempt=())


def app_of(store: ApprovalStore | None) -> Edge:
    router = Router(routes(store))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["gate"] = _Gate()
        await router(scope, receive, send)

    return Edge(app, METRICS)


@asynccontextmanager
async def opened(store: ApprovalStore | None) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app_of(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@pytest.fixture
async def api(runs: ToolRuns) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(runs.approvals) as client:
        yield client


@pytest.fixture
async def waiting(runs: ToolRuns) -> ToolCall:
    call = a_call()
    passed(runs, an_ask(), call)
    await waits(runs)
    return call


async def said(
    api: httpx.AsyncClient, key: str, method: str, path: str = "", json: Any = None
) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {key}"}
    response = await api.request(method, f"/v1/approvals{path}", headers=headers, json=json)
    return response.status_code, response.json()


@pytest.mark.parametrize("key", ["operator", "admin"])
async def test_an_operator_or_admin_decides(api: httpx.AsyncClient, waiting: ToolCall, key: str):
    status, listed = await said(api, key, "GET")
    assert (status, [one["id"] for one in listed["data"]]) == (200, [waiting.id])
    assert listed["data"][0]["arguments"] == waiting.arguments
    assert "digest" not in listed["data"][0]
    decision = {"decision": "approve", "reason": "fine"}
    status, decided = await said(api, key, "POST", f"/{waiting.id}", decision)
    assert (status, decided["status"], decided["reason"]) == (200, "approved", "fine")
    assert (await said(api, key, "GET"))[1]["data"] == []
    status, refused = await said(api, key, "POST", f"/{waiting.id}", {"decision": "deny"})
    assert (status, refused["error"]["code"]) == (409, "conflict")


async def test_who_asked_for_a_call_sees_it_and_cannot_approve_it(
    api: httpx.AsyncClient, waiting: ToolCall
):
    status, found = await said(api, "agent", "GET", f"/{waiting.id}")
    assert (status, found["status"]) == (200, "pending_approval")
    status, _ = await said(api, "agent", "POST", f"/{waiting.id}", {"decision": "approve"})
    assert status == 403
    assert (await said(api, "agent", "GET"))[0] == 403
    assert (await said(api, "viewer", "GET", f"/{waiting.id}"))[0] == 403


@pytest.mark.parametrize("key", ["other", "rival"])
async def test_of_another_project_or_tenant_nothing_is_there(
    api: httpx.AsyncClient, waiting: ToolCall, key: str
):
    assert (await said(api, key, "GET"))[1]["data"] == []
    decision = {"decision": "approve"}
    assert (await said(api, key, "POST", f"/{waiting.id}", decision))[0] == 404
    assert (await said(api, key, "POST", f"/{waiting.id}?tenant=acme", decision))[0] in (403, 404)


async def test_the_owner_says_whose(api: httpx.AsyncClient, waiting: ToolCall):
    status, refused = await said(api, "owner", "GET")
    assert (status, refused["error"]["param"]) == (400, "tenant")
    status, listed = await said(api, "owner", "GET", "?tenant=acme")
    assert (status, len(listed["data"])) == (200, 1)


@pytest.mark.parametrize("body", [{}, {"decision": "maybe"}, {"decision": "deny", "x": 1}, [], "x"])
async def test_a_decision_is_one_of_two(api: httpx.AsyncClient, waiting: ToolCall, body: Any):
    assert (await said(api, "admin", "POST", f"/{waiting.id}", body))[0] == 400


@pytest.mark.parametrize("id_", ["x", "call_ask_x", new_ask_id(), "%2e%2e", "call_ask_*"])
async def test_what_waits_for_nobody_is_not_found(api: httpx.AsyncClient, id_: str):
    assert (await said(api, "admin", "GET", f"/{id_}"))[0] == 404


@pytest.mark.parametrize("limit", ["0", "101", "x", "-1", "²", "1" * 5000])
async def test_a_limit_is_a_number_of_its_range(api: httpx.AsyncClient, limit: str):
    status, refused = await said(api, "admin", "GET", f"?limit={limit}")
    assert (status, refused["error"]["param"]) == (400, "limit")


async def test_a_list_says_whether_there_is_more(api: httpx.AsyncClient, runs: ToolRuns):
    passed(runs, an_ask(), a_call(), a_call())
    while len(await runs.approvals.waiting("acme", None, 9)) < 2:
        await asyncio.sleep(0.01)
    _, listed = await said(api, "admin", "GET", "?limit=1")
    assert (len(listed["data"]), listed["has_more"]) == (1, True)


async def test_a_gateway_that_governs_nobody_has_none():
    async with opened(None) as api:
        status, refused = await said(api, "admin", "GET")
    assert status == 404
    assert "governs nobody" in refused["error"]["message"]


async def test_the_command_lists_and_decides(
    runs: ToolRuns, waiting: ToolCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (port,) = free_ports(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONCH_ADMIN_KEY", "owner")
    for name, value in (
        ("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1"),
        ("OPENAI_API_KEY", "agent"),
        ("CONCH_MODEL", "demo"),
        ("COLUMNS", "250"),
    ):
        monkeypatch.setenv(name, value)

    async def conch(*words: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, approvals, words)

    stack = AsyncExitStack()
    stack.enter_context(capture_logs())  # they go where the commands' output does
    await stack.enter_async_context(serving(app_of(runs.approvals), port))
    async with stack:
        assert "say whose" in str((await conch("list")).exception)
        listed = await conch("list", "--tenant", "acme")
        assert str(waiting.id) in listed.output
        assert waiting.arguments in listed.output
        shown = await conch("show", str(waiting.id), "--tenant", "acme")
        assert "pending_approval" in shown.output
        told = ("--tenant", "acme", "--reason", "no", "--json")
        denied = json.loads((await conch("deny", str(waiting.id), *told)).output)
        assert (denied["status"], denied["reason"]) == ("denied", "no")
        again = await conch("approve", str(waiting.id), "--tenant", "acme")
        assert "decided before: it is denied" in str(again.exception)
