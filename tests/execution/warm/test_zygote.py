"""The zygote by itself: a request that fails is its client's trouble alone."""

import errno
import os
import socket

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
