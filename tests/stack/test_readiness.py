"""Is a service ready? One look, which fails nothing."""

import socket
import threading

import pytest

from shelfops_pipeline.services.stack import HOST, answers


@pytest.mark.parametrize(
    ("said", "ready"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", False),
        (b"", False),
        (b"starting\r\n", False),
        (b"HTTP/1.1 OK\r\n\r\n", False),
    ],
)
def test_only_an_answer_that_says_so_is_one(said: bytes, ready: bool) -> None:
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            caller, _ = server.accept()
            with caller:
                caller.recv(65_536)
                caller.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        assert answers(f"http://{HOST}:{server.getsockname()[1]}/health") is ready
        thread.join()


def test_nobody_there_is_not_ready() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    assert not answers(f"http://{HOST}:{port}/health")
