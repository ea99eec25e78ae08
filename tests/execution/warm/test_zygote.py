"""The zygote by itself: a request that fails is its client's trouble alone, and so is a client that ends."""

import errno
import os
import selectors
import socket
from typing import Any

import pytest

from samebook.execution.warm import messages, zygote


def test_failed_fork_spares_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a fork fails, its client gets no answer and starts a kernel of its own; the others go on."""

    def fail() -> int:
        raise OSError(errno.EAGAIN, "too many processes")

    monkeypatch.setattr(os, "fork", fail)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(f"\0samebook-test-{os.getpid()}")
        listener.listen()
        state = zygote.Zygote(listener, 0)
        client.connect(listener.getsockname())
        messages.send(client, {"arguments": []}, (1, 2))
        assert zygote._fork(state) is None
        assert client.recv(1) == b""
        assert state.children == {}
        state.selector.close()
        for number in state.pipe:
            os.close(number)


def test_child_and_client_end_at_once() -> None:
    """A client that ends in the moment in which its kernel has ended kills nobody, and the zygote goes on."""
    with socket.socket(socket.AF_UNIX) as listener:
        ours, client = socket.socketpair()
        state = zygote.Zygote(listener, 0)
        pid = os.posix_spawn("/bin/true", ["true"], {})
        state.children[pid] = ours
        key = state.selector.register(ours, selectors.EVENT_READ, pid)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        client.close()
        zygote._reap(state)
        assert zygote._handle(state, key) is None
        assert state.children == {}
        state.selector.close()
        for number in state.pipe:
            os.close(number)


def test_request_to_a_process_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has its request, has answered and closed before the sender goes on is a kernel, and no error."""
    ours, other = socket.socketpair()
    send_fds = socket.send_fds

    def send_and_be_answered(*arguments: Any) -> int:
        size = send_fds(*arguments)
        request, files = messages.receive(other)
        assert request == {"arguments": []}
        for file in files:
            os.close(file)
        messages.answer(other, 7)
        other.close()
        return size

    monkeypatch.setattr(socket, "send_fds", send_and_be_answered)
    with ours:
        messages.send(ours, {"arguments": []}, (1, 2))
        assert messages.receive_answer(ours) == 7
