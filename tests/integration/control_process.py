"""Starts the control plane as a process of its own, on real stores."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
from ports import free_ports

from serving.contract.api_keys import new_key

PATIENCE_S = 20.0
POLL_S = 0.02
COMMAND = (sys.executable, "-m", "control_plane")


def environment_of(database, redis_server, folder):
    """What a control plane on empty stores is started with."""
    redis_server.flush()
    key = new_key()
    (folder / "admin").write_text(f"{key.text}\n")
    (port,) = free_ports(1)
    return {
        "PATH": os.environ["PATH"],
        "CONTROL_PORT": str(port),
        "CONTROL_ADMIN_KEY_FILE": str(folder / "admin"),
        "CONCH_KEY_PEPPER": "p" * 32,
        "CONCH_GRANT_KEY": "g" * 32,
        **database.environment(),
        **redis_server.environment(),
    }


def url_of(environment):
    return f"http://127.0.0.1:{environment['CONTROL_PORT']}"


@contextmanager
def running(environment):
    """The process and a client with the admin key; it is ready, and killed at the end."""
    process = subprocess.Popen(COMMAND, env=environment, stdout=subprocess.PIPE, text=True)
    key = Path(environment["CONTROL_ADMIN_KEY_FILE"]).read_text().strip()
    headers = {"authorization": f"Bearer {key}"}
    try:
        with httpx.Client(base_url=url_of(environment), headers=headers, trust_env=False) as client:
            _until_ready(process, client)
            yield process, client
    finally:
        process.kill()
        process.communicate()


def _until_ready(process, client):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(POLL_S)
