"""Who may connect to Redis, how, and that no secret is seen anywhere."""

from __future__ import annotations

import logging
import shutil
import subprocess
import time
import traceback
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from databases import put, read
from redis import Redis
from redis_server import free_port, redis_server

from modelmon.errors import ConfigurationError, StoreError
from modelmon.stores.redis.database import RedisDatabase

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "only-for-this-test"  # noqa: S105  (of a server on loopback)


def shown(error: BaseException) -> str:
    """Return all that a report of an error shows."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


@pytest.mark.fault("Z12")
def test_passwords_are_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Right, wrong and missing passwords work or fail with a kind, and are in no text that anyone sees."""
    caplog.set_level(logging.DEBUG)
    with redis_server("--requirepass", SECRET) as server:
        place = f"127.0.0.1:{server.port}"
        with closing(RedisDatabase(f"redis://:{SECRET}@{place}/0")) as database:
            put(database, {1: b"a"})
            assert SECRET not in repr(database) + str(database)
            server.kill()
            with pytest.raises(StoreError) as caught:
                database.begin(durable=True)
            assert SECRET not in shown(caught.value)
            server.start()
        for user in (f":{SECRET}wrong@", f"someone:{SECRET}wrong@", ""):
            with closing(RedisDatabase(f"redis://{user}{place}")) as database:
                with pytest.raises(StoreError) as caught:
                    database.open()
                assert caught.value.kind == "permission"
                assert SECRET not in shown(caught.value)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}/x@host:6379",
        f"redis://user:123/{SECRET}@host",
        f"redis://:{SECRET}#x@host",
        f"redis://:a?{SECRET}@host",
        f"redis://:{SECRET}@host:port",
        f"redis://:{SECRET}@host?socket_timeout=soon",
        f"http://:{SECRET}@host",
        f":{SECRET}@host",
        f"redis://:{SECRET} x@host",
    ],
)
def test_urls_that_cannot_work_are_refused_unseen(url: str) -> None:
    """A URL that cannot be read is refused at once, and no part of it is shown."""
    with pytest.raises(ConfigurationError) as caught:
        RedisDatabase(url)
    assert SECRET not in shown(caught.value)


@pytest.mark.parametrize("settings", [{"namespace": "a{b}"}, {"namespace": ""}, {"timeout": 0.0}], ids=str)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object]) -> None:
    """A namespace with a hash tag of its own, none, and no time at all are refused."""
    with pytest.raises(ConfigurationError):
        RedisDatabase("redis://localhost", **settings)


def test_options_of_the_url_cannot_change_the_bytes() -> None:
    """Options that would turn bodies into text are overruled."""
    with (
        redis_server() as server,
        closing(RedisDatabase(f"{server.url}?decode_responses=true&protocol=3&client_name=me")) as database,
    ):
        put(database, {1: b"\xff"})
        assert read(database, [1]) == [b"\xff"]


def test_a_user_with_few_rights_is_enough() -> None:
    """A user needs reading, writing and scripts on the namespace's keys; one with less is told."""
    with redis_server() as server, Redis.from_url(server.url) as client:
        rights = ["on", f">{SECRET}", "~{modelmon}:*", "+@read", "+@write", "+@scripting", "+@connection", "+time"]
        client.execute_command("ACL", "SETUSER", "app", *rights)
        client.execute_command("ACL", "SETUSER", "poor", "on", f">{SECRET}", "~{modelmon}:*", "+@read", "+@connection")
        place = f"127.0.0.1:{server.port}"
        with closing(RedisDatabase(f"redis://app:{SECRET}@{place}")) as database:
            put(database, {1: b"a"})
            assert read(database, [1]) == [b"a"]
            assert database.check() == []
        for wrong in (
            RedisDatabase(f"redis://poor:{SECRET}@{place}"),
            RedisDatabase(f"redis://app:{SECRET}@{place}", namespace="else"),
        ):
            with closing(wrong), pytest.raises(StoreError, match="this user may not") as caught:
                wrong.open()
            assert caught.value.kind == "permission"
            assert SECRET not in shown(caught.value)


def certificate(directory: Path) -> tuple[Path, Path]:
    """Make a key and a certificate of this host that signs itself."""
    key, made = directory / "key.pem", directory / "certificate.pem"
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(made)]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    return key, made


@pytest.mark.fault("Z13")
def test_tls_by_url(tmp_path: Path) -> None:
    """A rediss URL connects by TLS and checks the certificate."""
    key, made = certificate(tmp_path)
    port = free_port()
    files = ("--tls-cert-file", str(made), "--tls-key-file", str(key), "--tls-ca-cert-file", str(made))
    with redis_server("--tls-port", str(port), *files, "--tls-auth-clients", "no", "--requirepass", SECRET):
        url = f"rediss://:{SECRET}@127.0.0.1:{port}/0"
        with closing(RedisDatabase(f"{url}?ssl_ca_certs={made}")) as database:
            put(database, {1: b"a"})
            assert read(database, [1]) == [b"a"]
        with closing(RedisDatabase(url)) as database:
            with pytest.raises(StoreError) as caught:
                database.open()
            assert SECRET not in shown(caught.value)


def test_a_socket_of_this_host(tmp_path: Path) -> None:
    """A unix URL connects by a socket of the file system."""
    with (
        redis_server("--unixsocket", str(tmp_path / "redis.sock")),
        closing(RedisDatabase(f"unix://{tmp_path}/redis.sock?db=3")) as database,
    ):
        put(database, {1: b"a"})
        assert read(database, [1]) == [b"a"]


def test_a_node_of_a_cluster() -> None:
    """The keys of a namespace share a slot, so that the node that serves it serves a store."""
    with (
        redis_server("--cluster-enabled", "yes", "--cluster-port", str(free_port())) as server,
        Redis.from_url(server.url) as client,
        closing(RedisDatabase(server.url)) as database,
    ):
        with pytest.raises(StoreError, match="cluster is down"):
            database.open()
        slot = client.execute_command("CLUSTER", "KEYSLOT", "{modelmon}:head")
        client.config_set("cluster-require-full-coverage", "no")
        client.execute_command("CLUSTER", "ADDSLOTS", slot)
        end = time.monotonic() + 20
        while b"cluster_state:ok" not in client.eval("return redis.call('CLUSTER', 'INFO')", 0):
            assert time.monotonic() < end
            time.sleep(0.05)
        put(database, {1: b"a"}, reminders=[(1.0, b"r")], journal=b"j")
        assert read(database, [1]) == [b"a"]
        assert database.check() == []
