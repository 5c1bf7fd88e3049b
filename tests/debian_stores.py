"""Debian's redis-server and postgresql, by TCP with TLS and password, for tests at full scale."""

import datetime
import os
import pwd
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ports import free_ports
from store_servers import PostgresStore, RedisStore, folder, process, until

from serving.stack.process import identity

REDIS = Path("/usr/bin/redis-server")
POSTGRES = Path("/usr/lib/postgresql")
OWNER = "conch"
INSTALL = "CONCH_TEST_SCALE=full needs Debian's servers: apt-get install redis-server postgresql"
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """Of an authority of the test's own, for `localhost`."""

    authority: Path
    certificate: Path
    key: Path


def missing_packages() -> str | None:
    """What to do when one of the servers is not there."""
    return None if REDIS.exists() and _postgres_programs() else INSTALL


def _postgres_programs() -> Path | None:
    """The folder of the newest."""
    found = POSTGRES.glob("*/bin")
    return max(found, key=lambda folder: float(folder.parent.name), default=None)


@contextmanager
def debian_redis_server() -> Iterator[RedisStore]:
    password, (port,) = secrets.token_hex(16), free_ports(1)
    with folder() as path:
        tls = make_certificate(path)
        config = path / "redis.conf"
        config.write_text(_redis_config(path, port, password, tls))
        store = RedisStore(f"rediss://localhost:{port}", password, {"ca_file": tls.authority})
        log = path / "log"
        with process((str(REDIS), str(config)), log, stop=signal.SIGKILL) as child:
            until(lambda: _is_up(store.client, redis.ConnectionError), child, log)
            yield store


def _redis_config(path: Path, port: int, password: str, tls: Certificate) -> str:
    return f"""
port 0
tls-port {port}
bind 127.0.0.1
tls-cert-file {tls.certificate}
tls-key-file {tls.key}
tls-ca-cert-file {tls.authority}
tls-auth-clients no
requirepass {password}
dir {path}
appendonly yes
appendfsync always
save ""
"""


@contextmanager
def debian_postgres_server() -> Iterator[PostgresStore]:
    programs = _postgres_programs()
    assert programs is not None
    password, (port,) = secrets.token_hex(16), free_ports(1)
    with folder() as path:
        tls = make_certificate(path)
        user = _make_cluster(programs, path, password)
        _hand_over(tls.key, user)
        url = f"postgresql://{OWNER}@localhost:{port}/postgres?sslmode=verify-full&sslrootcert="
        store = PostgresStore(f"{url}{tls.authority}", password)
        line, log = _postgres_command(programs, path, port, tls), path / "log"
        with process(line, log, stop=signal.SIGQUIT, user=user) as child:
            until(lambda: _is_up(store.connect, psycopg.OperationalError), child, log)
            yield store


def _make_cluster(programs: Path, path: Path, password: str) -> str | None:
    """Makes the data folder that takes nobody without TLS and password; gives its user."""
    # Debian's package brings the user; PostgreSQL refuses to run as root.
    user = None if os.getuid() else "postgres"
    given, data = path / "password", path / "data"
    given.write_text(password)
    data.mkdir(mode=0o700)
    for made in (given, data):
        _hand_over(made, user)
    login = (f"--username={OWNER}", f"--pwfile={given}", "--auth=scram-sha-256", "--no-sync")
    line = [str(programs / "initdb"), f"--pgdata={data}", "--encoding=UTF8", *login]
    subprocess.run(line, check=True, capture_output=True, cwd=path, **identity(user))
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    return user


def _hand_over(path: Path, user: str | None) -> None:
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _postgres_command(programs: Path, path: Path, port: int, tls: Certificate) -> tuple[str, ...]:
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "port": str(port),
        "ssl": "on",
        "ssl_cert_file": str(tls.certificate),
        "ssl_key_file": str(tls.key),
        "dynamic_shared_memory_type": "mmap",
    }
    settings = (flag for name, value in options.items() for flag in ("-c", f"{name}={value}"))
    return str(programs / "postgres"), "-D", str(path / "data"), *settings


def _is_up(client: Callable[[], AbstractContextManager[Any]], refusal: type[Exception]) -> bool:
    try:
        with client() as connected:
            return not isinstance(connected, redis.Redis) or connected.ping()
    except refusal:
        return False


def make_certificate(folder: Path) -> Certificate:
    """An authority, and what it says about `localhost`."""
    tls = Certificate(folder / "authority.pem", folder / "certificate.pem", folder / "key.pem")
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _signed("test authority", authority_key, authority_key, is_authority=True)
    certificate = _signed("localhost", key, authority_key, is_authority=False)
    for path, made in ((tls.authority, authority), (tls.certificate, certificate)):
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    tls.key.touch(mode=0o600)
    tls.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return tls


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(by, hashes.SHA256())
    )
