"""The guard itself: a way out is refused and remembered, loopback is open."""

from __future__ import annotations

import socket
import urllib.request

import pytest


@pytest.mark.parametrize(
    "reach",
    [
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=0.1),
        lambda: socket.getaddrinfo("example.org", 443),
        lambda: urllib.request.urlopen("http://example.org", timeout=0.1),
    ],
)
def test_a_way_out_is_refused_and_remembered(network_guard, reach):
    with pytest.raises(OSError, match="blocked in tests"):
        reach()
    assert network_guard.take()  # taken here: otherwise this very test fails at its end


def test_a_bare_socket_cannot_connect_out(network_guard):
    with socket.socket() as out, pytest.raises(OSError, match="blocked"):
        out.connect(("192.0.2.1", 80))
    with socket.socket(socket.AF_INET6) as out, pytest.raises(OSError, match="blocked"):
        out.connect_ex(("2001:db8::1", 80, 0, 0))
    assert network_guard.take() == ["192.0.2.1", "2001:db8::1"]


def test_loopback_is_open(network_guard):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()[:2]) as client:
        server.accept()[0].close()
        assert client.getpeername()[0] == "127.0.0.1"
    assert network_guard.take() == []


def test_a_swallowed_attempt_fails_the_test_at_its_end(tmp_path):
    import subprocess
    import sys
    from pathlib import Path

    (tmp_path / "conftest.py").write_text((Path(__file__).parent / "conftest.py").read_text("utf-8"), "utf-8")
    (tmp_path / "test_it.py").write_text(
        "import contextlib, socket\n"
        "def test_it():\n"
        "    with contextlib.suppress(OSError):\n"
        "        socket.create_connection(('192.0.2.1', 80))\n",
        "utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1, done.stdout
    assert "tried to reach the network: 192.0.2.1" in done.stdout
