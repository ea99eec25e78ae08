"""Messages between a zygote and its clients: a line of JSON over a socket, and open files beside it.

A zygote imports this module: it must import nothing that a kernel would not import.
"""

import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

# Bytes of a request, which has all environment variables, at most.
LINE = 1 << 22
# The file descriptors that a request hands over: stdout and stderr, and a runner's stdin.
FILES = (1, 2, 0)
# To import this module does once what every run does; a zygote with this module alone forks runners.
RUNNER = "samebook.cli.ready"


def send(connection: socket.socket, message: Mapping[str, Any], files: Sequence[int] = ()) -> None:
    """Send a message, with these file descriptors if there are any."""
    line = json.dumps(message).encode() + b"\n"
    sent = socket.send_fds(connection, [line], files) if files else 0
    connection.sendall(line[sent:])


def receive(connection: socket.socket) -> dict[str, Any]:
    """The next message, and not a byte of the one behind it. Raises ValueError where it is cut off."""
    content = b""
    while not content.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            raise ValueError("cut off")
        content += byte
    return json.loads(content)


def receive_with_files(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The only message of a connection and the file descriptors with it. Raises ValueError where it is cut off."""
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
