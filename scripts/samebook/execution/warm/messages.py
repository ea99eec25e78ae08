"""Messages between a zygote and its clients: a request is a line of JSON with open files, an answer is a number.

A zygote imports this module: it must import nothing that a kernel would not import.
"""

import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

# Bytes of a request, which has all environment variables, at most.
LINE = 1 << 22
# Bytes of an answer.
NUMBER = 4
# The file descriptors that a request hands over: stdout and stderr, and a runner's stdin.
FILES = (1, 2, 0)
# To import this module does once what every run does; a zygote with this module alone forks runners.
RUNNER = "samebook.cli.ready"


def send(connection: socket.socket, request: Mapping[str, Any], files: Sequence[int]) -> None:
    """Send a request, with these file descriptors."""
    line = json.dumps(request).encode() + b"\n"
    if rest := line[socket.send_fds(connection, [line], files) :]:  # once all is there, the other end may close
        connection.sendall(rest)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The only request of a connection and the file descriptors with it. Raises ValueError where it is cut off."""
    content, files, _, _ = socket.recv_fds(connection, LINE, len(FILES))
    try:
        while not content.endswith(b"\n"):
            more = connection.recv(LINE)
            if not more or len(content) > LINE:
                raise ValueError("cut off")
            content += more
        return json.loads(content), files
    except BaseException:
        for file in files:  # a reader of these files would wait until this process ends
            os.close(file)
        raise


def answer(connection: socket.socket, number: int) -> None:
    """Send a number, unless the client has ended: the child's pid, and its exit code once it has ended."""
    with suppress(OSError):
        connection.sendall(number.to_bytes(NUMBER, "big", signed=True))


def receive_answer(connection: socket.socket) -> int:
    """The next number. Raises ValueError where the zygote has ended."""
    content = connection.recv(NUMBER)
    if len(content) < NUMBER:
        raise ValueError("cut off")
    return int.from_bytes(content, "big", signed=True)
