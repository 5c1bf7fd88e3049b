"""The running stack as somebody who means harm sees it, on real sockets, files and processes."""

import asyncio
import json
import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.e2e.gateway_wire import CHAT, Peer, eventually

MODELS = "/v1/models"
AT_ONCE = 10  # wrong credentials of one address
QUIET_S = 0.3
IS_FULL = os.environ.get("CONCH_TEST_SCALE") == "full"


@pytest.fixture
def peer(stack) -> Peer:
    return Peer(stack.base_url.removesuffix("/v1"), stack.api_key)


@pytest.fixture
async def control(stack) -> AsyncIterator[httpx.AsyncClient]:
    """The control plane, as the owner."""
    key = (stack.var / "secrets" / "admin_key").read_text().strip()
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{stack.variables['CONTROL_PORT']}",
        headers={"authorization": f"Bearer {key}"},
        trust_env=False,
    ) as client:
        yield client


@asynccontextmanager
async def caller(peer: Peer, source: str) -> AsyncIterator[httpx.AsyncClient]:
    """One connection from an address of this machine's own, so that no other test pays for it."""
    transport = httpx.AsyncHTTPTransport(
        local_address=source, limits=httpx.Limits(max_connections=1)
    )
    async with httpx.AsyncClient(base_url=peer.url, transport=transport) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def wrong(key: str, number: int = 0) -> str:
    """Another secret of the same id."""
    return key[:-4] + f"{number:04d}"


async def new_key(control: httpx.AsyncClient, **fields: object) -> dict[str, str]:
    body = {"name": "h", "project": "default/default", **fields}
    reply = await control.post("/v1/keys", json=body)
    assert reply.status_code == 201, reply.text
    made: dict[str, str] = reply.json()
    return made


async def raw(peer: Peer, request: bytes, source: str = "127.0.0.1") -> bytes:
    """All that the gateway answers to some bytes, until it hangs up or says no more."""
    async with peer.connection(source=source) as (reader, writer):
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(65536), 10)
        with suppress(TimeoutError):
            while piece := await asyncio.wait_for(reader.read(65536), QUIET_S):
                answer += piece
        return answer


# Files, processes and logs


def secrets_of(stack) -> dict[str, str]:
    files = (stack.var / "secrets").iterdir()
    return {each.name: each.read_text().strip() for each in files if each.is_file()}


def test_secrets_and_state_are_for_their_owner_only(stack):
    for folder in ("secrets", "run", "gateway"):
        assert (stack.var / folder).stat().st_mode & 0o077 == 0, folder
    private = [
        *(stack.var / "secrets").iterdir(),
        *(path for path in (stack.var / "gateway").rglob("*")),
        stack.var / "run" / "stack.json",
    ]
    assert any(path.name == "policy.ndjson" for path in private)
    assert {path.name for path in private if path.stat().st_mode & 0o077} <= {"spool"}
    sockets = [p for p in stack.var.rglob("*") if p.is_socket()]
    for each in sockets:
        assert each.parent.stat().st_mode & 0o077 == 0, each


async def test_no_secret_is_in_a_log_a_command_line_a_reply_or_the_audit_log(stack, peer, control):
    made = await new_key(control)
    await control.post(f"/v1/keys/{made['id']}/rotate", json={})
    await control.get(f"/v1/keys/{made['key']}")  # as people do by mistake
    shown = stack.conch("config", "show")
    assert shown.returncode == 0, shown.stderr
    async with caller(peer, "127.0.0.21") as client:
        for key in (made["key"], wrong(made["key"]), made["key"][:-1]):
            reply = await client.get(MODELS, headers=bearer(key))
            assert made["key"].rpartition("_")[2][:-4] not in reply.text
        broken = await client.post(CHAT, headers=bearer(made["key"]), content=b"{")
    places = {
        "config show": shown.stdout + shown.stderr,
        "command lines": "\n".join(stack.processes()),
        "error": broken.text,
        "audit": (await control.get("/v1/audit", params={"limit": 100})).text,
        "keys": (await control.get("/v1/keys", params={"limit": 100})).text,
        "policy": (await control.get("/v1/policy/diff", params={"from": 0, "to": 1})).text,
        "metrics": (await control.get(stack.gateway_metrics_url)).text,
        **{str(log): log.read_text(errors="replace") for log in logs_of(stack)},
    }
    for name, secret in {"a new key": made["key"], **secrets_of(stack)}.items():
        # Of a key the id is no secret.
        hidden = secret.rpartition("_")[2] if secret.startswith("ck_live_") else secret
        assert len(hidden) >= 32, name
        assert [place for place, said in places.items() if hidden in said] == [], name


def logs_of(stack) -> list[Path]:
    return [path for path in (stack.var / "log").rglob("*") if path.is_file()]


# What goes over the wire


ODD_HEADERS = [
    b"x-request-id: a\rx-injected: 1",
    b"x-request-id: a\nx-injected: 1",
    b"x-request-id: a\x00b",
    b"x-request-id: " + b"a" * 200,
    b"x-request-id: \xc3\xa9\x85\xe2\x80\xa8",
    b"x-session-id: a\rx-injected: 1",
    b"x-session-id: \x85\xff\xfe",
    b"x-forwarded-for: 10.0.0.1\x0b, ::1",
    b"authorization: Bearer a\rx-injected: 1",
    b"x-request-id : a",
    b" x-request-id: a",
]


@pytest.mark.parametrize("header", ODD_HEADERS)
async def test_no_header_of_a_client_makes_one_of_an_answer(stack, peer, header):
    body = json.dumps({"model": "no\r\nx-injected: 1", "prompt": "a", "user": "a\r\nb"}).encode()
    request = peer.request("/v1/completions", body, "connection: close")
    head, _, rest = request.partition(b"\r\n\r\n")
    answer = await raw(peer, head + b"\r\n" + header + b"\r\n\r\n" + rest)
    lines = answer.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    assert lines[0].split()[1] in (b"400", b"404"), answer
    assert not any(line.startswith(b"x-injected") for line in lines), answer
    assert answer.count(b"HTTP/1.1 ") == 1, answer


SMUGGLED = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
AMBIGUOUS = {
    "both lengths": [b"content-length: 5", b"transfer-encoding: chunked"],
    "two lengths": [b"content-length: 5", b"content-length: 6"],
    "list of lengths": [b"content-length: 5, 6"],
    "signed length": [b"content-length: +5"],
    "hexadecimal length": [b"content-length: 0x5"],
    "chunked twice": [b"transfer-encoding: chunked, chunked", b"content-length: 5"],
    "chunked inside": [b"transfer-encoding: chunked, identity"],
    "odd chunked": [b"transfer-encoding: xchunked"],
    "space before colon": [b"transfer-encoding : chunked", b"content-length: 5"],
    "line folding": [b"transfer-encoding:\r\n chunked", b"content-length: 5"],
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_a_request_whose_end_two_servers_could_see_elsewhere_is_refused(peer, headers):
    head = [b"POST /v1/completions HTTP/1.1", b"host: x", *headers, b"", b""]
    answer = await raw(peer, b"\r\n".join(head) + b"0\r\n\r\n" + SMUGGLED)
    # Without any answer it hangs up where the head was taken for good before the body was not.
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401")) or not answer, answer
    assert answer.count(b"HTTP/1.1 ") <= 1, answer


async def test_a_head_that_never_ends_is_cut_off_before_anybody_knows_whose_it_is(peer):
    async with peer.connection(source="127.0.0.22") as (reader, writer):
        writer.write(b"GET /v1/models HTTP/1.1\r\nx: ")
        hung_up = asyncio.create_task(reader.read())
        async with asyncio.timeout(10):
            while not hung_up.done():
                writer.write(b"a" * 65536)
                try:
                    await writer.drain()
                except ConnectionError:
                    break
                await asyncio.sleep(0)
            await asyncio.gather(hung_up, return_exceptions=True)


async def test_metadata_of_grpc_injects_nothing(stack):
    address = f"127.0.0.1:{stack.variables['GATEWAY_GRPC_PORT']}"
    async with grpc.aio.insecure_channel(address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for name, value in (
            ("x-request-id", "a b"),
            ("x-session-id", "~" * 4000),
            ("x-forwarded-for", "10.0.0.1"),
            ("authorization", "Bearer " + "%0d%0a" * 100),
        ):
            own = {"authorization": f"Bearer {stack.api_key}", name: value}
            request = service_pb2.ModelInferRequest(model_name="no\r\nx-injected: 1", id="a\r\nb")
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await stub.ModelInfer(request, metadata=tuple(own.items()), timeout=10)
            error = failed.value
            trailing = {key: str(said) for key, said in error.trailing_metadata() or ()}
            assert "x-injected" not in trailing
            assert not any("\n" in said or "\r" in said for said in trailing.values())
            assert error.code() is not grpc.StatusCode.INTERNAL, error.details()


async def test_what_clients_say_stays_on_its_line_of_the_log(stack, peer, control):
    mark = f"mark{time.time_ns()}"
    odd = f'{mark}\r\n{{"event": "forged"}}\u2028\x85\x1b[31m'
    async with caller(peer, "127.0.0.1") as client:
        body = {"model": odd, "prompt": "a", "user": odd}
        await client.post("/v1/completions", json=body, headers=bearer(stack.api_key))
        await client.get(f"/v1/{quote(odd)}", headers=bearer(stack.api_key))
    await control.get(f"/v1/{quote(odd)}")
    for log in logs_of(stack):
        if not log.name.startswith(("gateway", "control")):
            continue
        for line in log.read_text().split("\n"):
            if line.startswith("{"):
                assert json.loads(line)["event"] != "forged"
                assert "\x1b" not in line
            assert mark not in line or line.startswith("{"), line


# Who comes in


async def test_a_client_does_not_choose_its_address(stack, peer, control):
    made = await new_key(control, cidrs=["203.0.113.0/24"])
    # The address that servers trust by default to speak for others.
    async with caller(peer, "127.0.0.1") as client:

        async def is_known() -> bool:
            reply = await client.get(MODELS, headers=bearer(made["key"]))
            return reply.status_code == 403

        await eventually(is_known, within_s=5)
        for name in ("x-forwarded-for", "x-real-ip", "forwarded", "x-client-ip"):
            more = {name: "for=203.0.113.7" if name == "forwarded" else "203.0.113.7"}
            reply = await client.get(MODELS, headers=bearer(made["key"]) | more)
            assert reply.status_code == 403, (name, reply.text)
    forged = bearer(made["key"]) | {"x-forwarded-for": "203.0.113.7"}
    seen = await control.get("/v1/me", headers=forged)
    assert seen.status_code == 403, seen.text


async def test_guessing_is_limited_by_address_and_those_who_are_known_go_on(stack, peer):
    async with caller(peer, "127.0.0.24") as client:
        known = bearer(stack.api_key)
        assert (await client.get(MODELS, headers=known)).status_code == 200
        guesses = [
            await client.get(MODELS, headers=bearer(wrong(stack.api_key, number)))
            for number in range(AT_ONCE + 5)
        ]
        statuses = [reply.status_code for reply in guesses]
        assert statuses[:AT_ONCE] == [401] * AT_ONCE
        assert set(statuses[AT_ONCE:]) == {429}
        assert int(guesses[-1].headers["retry-after"]) >= 1
        assert (await client.get(MODELS, headers=known)).status_code == 200
        forged = bearer(wrong(stack.api_key, 99)) | {"x-forwarded-for": "198.51.100.1"}
        assert (await client.get(MODELS, headers=forged)).status_code == 429
    async with caller(peer, "127.0.0.25") as elsewhere:
        reply = await elsewhere.get(MODELS, headers=bearer(stack.api_key))
        assert reply.status_code == 200


async def test_a_wrong_secret_says_nothing_of_the_key(stack, peer, control):
    active, revoked = await new_key(control), await new_key(control)
    await control.post(f"/v1/keys/{revoked['id']}/revoke")
    rotated = await new_key(control)
    await control.post(f"/v1/keys/{rotated['id']}/rotate", json={"overlap_s": 0})
    unknown = "ck_live_" + "z" * 10 + "_" + "z" * 43
    async with caller(peer, "127.0.0.26") as client:

        async def is_revoked() -> bool:
            reply = await client.get(MODELS, headers=bearer(revoked["key"]))
            return "was revoked" in reply.text

        await eventually(is_revoked, within_s=5)
    said = set()
    async with caller(peer, "127.0.0.27") as client:
        keys = [active["key"], revoked["key"], rotated["key"]]
        for text in (unknown, *map(wrong, keys), "ck_live_x", "x"):
            reply = await client.get(MODELS, headers=bearer(text))
            own = {"date", "x-request-id"}
            headers = tuple((k, v) for k, v in reply.headers.items() if k not in own)
            said.add((reply.status_code, reply.content, headers))
    assert len(said) == 1, said


async def test_how_long_a_wrong_key_takes_says_nothing_of_it(stack, peer):
    """Coarse: what a client over the network could see. As many of each, side by side."""
    kinds = (stack.api_key, "ck_live_" + "z" * 10 + "_" + "z" * 43)
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(40 if IS_FULL else 3):
        async with caller(peer, f"127.0.1.{number + 1}") as client:
            await client.get("/health/live")
            for guess in range(AT_ONCE - 2):
                kind = guess % 2
                began = time.perf_counter()
                text = wrong(kinds[kind], number * AT_ONCE + guess)
                reply = await client.get(MODELS, headers=bearer(text))
                took[kind].append(time.perf_counter() - began)
                assert reply.status_code == 401
    known, unknown = map(statistics.median, took)
    assert abs(known - unknown) < (0.2e-3 if IS_FULL else 20e-3) + 0.3 * min(known, unknown)
