"""The page on this machine: who may see it, and what it does when files change."""

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from bokeh.client import pull_session
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect
from typer.testing import CliRunner

from ptychopinn.cli import app
from ptychopinn.errors import OutputError
from ptychopinn.studies.campaign.ledger import Found, Ledger, entries_of
from ptychopinn.web.reader import Source
from ptychopinn.web.server import HOST, PageServer


@pytest.fixture(scope="module")
def server(finished: Path) -> Iterator[PageServer]:
    one = in_own_loop(finished)
    yield one
    one.stop()


def in_own_loop(path: Path) -> PageServer:
    """A server that was made in the thread in which it runs, since its loop belongs to that thread."""
    made: list[PageServer] = []
    ready = threading.Event()

    def work() -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        made.append(PageServer([Source(path, "mine")], 0))
        made[0].run(ready.set)

    threading.Thread(target=work, daemon=True).start()
    assert ready.wait(60)
    return made[0]


def asked(server: PageServer, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read().decode()


def test_without_the_token_nothing_is_shown(server: PageServer) -> None:
    for path in ("/", "/?token=", "/?token=wrong", "/autoload.js?bokeh-autoload-element=1", "/metadata"):
        status, headers, _ = asked(server, path)
        assert (status, headers["Location"].split("?")[0]) == (302, "/refused"), path
    status, _, told = asked(server, "/refused")
    assert status == 403
    assert "No valid token" in told
    assert asked(server, "/", Cookie=f"ptychopinn_{server.port}=wrong")[0] == 302


def test_the_token_lets_in_and_a_cookie_keeps_it(server: PageServer) -> None:
    address = urlsplit(server.address)
    assert address.hostname == HOST
    status, headers, html = asked(server, f"{address.path}?{address.query}")
    assert status == 200
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "connect-src" in html
    assert "cdn" not in html.lower()
    assert asked(server, "/", Cookie=cookie.split(";")[0])[0] == 200


def test_the_websocket_is_refused_without_the_token_or_from_another_origin(server: PageServer) -> None:
    token = urlsplit(server.address).query
    own = {"Origin": f"http://{HOST}:{server.port}"}

    async def message(path: str, headers: dict[str, str]) -> object:
        request = HTTPRequest(f"ws://{HOST}:{server.port}{path}", headers=headers)
        connection = await websocket_connect(request, subprotocols=["bokeh", "none"])
        return await asyncio.wait_for(connection.read_message(), 20)

    assert asyncio.run(message("/ws", own)) is None  # closed without a word
    with pytest.raises(HTTPClientError, match="403"):
        asyncio.run(message(f"/ws?{token}", {"Origin": "http://example.org"}))


def test_a_session_of_somebody_else_cannot_be_pulled(server: PageServer) -> None:
    with pytest.raises((OSError, RuntimeError)):
        pull_session(session_id="mine", url=f"http://{HOST}:{server.port}/")


def test_a_port_in_use_is_named(finished: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        done = CliRunner().invoke(app, ["view", str(finished), "--port", str(port), "--no-browser"])
        assert done.exit_code == 2
        told = " ".join(done.output.split())
        assert f"port {port} of {HOST} is in use; give another one by --port, or --port 0 for a free one" in told


def test_the_scans_of_a_campaign_are_read_beside_its_workers(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be read"):
        entries_of(tmp_path)
    with Ledger(tmp_path) as ledger:
        ledger.add([Found(tmp_path / "a.npz", "a", 1, 1), Found(tmp_path / "b.npz", "b", 1, 1)])
        claim = ledger.claim()
        assert claim is not None
        assert [(one.name, one.state) for one in entries_of(tmp_path)] == [("a", "running"), ("b", "waiting")]
        before = (tmp_path / "campaign.sqlite").read_bytes()
        entries_of(tmp_path)
        assert (tmp_path / "campaign.sqlite").read_bytes() == before
    (tmp_path / "campaign.sqlite").write_bytes(b"no database")
    with pytest.raises(OutputError, match="is no ledger"):
        entries_of(tmp_path)
