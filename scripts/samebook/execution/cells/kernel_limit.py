"""The limit of a cell's output in its kernel, which sends no more of it than the runner keeps of any cell.

A kernel that prints or displays faster than its runner reads would fill the memory of both. What it has not sent it
tells at the end of the cell. What it sends waits for the runner to read it: zmq would drop it.
"""

import sys
from typing import Any

import zmq

from samebook.execution.cells import limit

# The messages that wait on either side. zmq's own default, a thousand, is a gigabyte of pictures.
WAITING = 32


class _Printed:
    """What a cell prints to a stream of the kernel. `left_out` is in bytes."""

    def __init__(self, stream: Any, most: int) -> None:
        self.write, self.most = stream.write, most
        self.begin()
        stream.write = self.add

    def begin(self) -> None:
        """Count from nothing."""
        self.room, self.left_out = self.most, 0

    def add(self, text: str) -> int:
        if len(text) <= self.room:
            self.room -= len(text)
            return self.write(text)
        # A character has a byte or more, and the one behind the limit tells the runner to cut.
        end = self.room + 1
        self.room = -1
        self.left_out += len(text[end:].encode(errors="surrogatepass"))
        if end:
            self.write(text[:end])
        return len(text)


class _Displayed:
    """What a cell displays, by whichever way. `left_out` is in bytes, without those of the first, told at once."""

    def __init__(self, kernel: Any, most: int) -> None:
        self.kernel, self.send, self.limit = kernel, kernel.session.send, limit.Limit(most)
        self.begin()
        kernel.session.send = self.add

    def begin(self) -> None:
        """Count from nothing."""
        self.limit.begin()
        self.left_out = 0

    def add(self, stream: Any, message: Any, *arguments: Any, **options: Any) -> Any:
        earlier = self.limit.left_out[limit.DISPLAYS]
        is_display = isinstance(message, dict) and message["msg_type"] in limit.DISPLAYED
        if not is_display or self.limit.admits(message):
            return self.send(stream, message, *arguments, **options)
        size = self.limit.left_out[limit.DISPLAYS] - earlier
        if earlier:
            self.left_out += size
        else:
            _tell(self.kernel, limit.DISPLAYS, size)
        return None


def start(most: int) -> None:
    """Send no more than so many bytes of a cell's stdout, of its stderr, and of its displays."""
    from IPython.core.getipython import get_ipython  # a runner never imports it

    shell: Any = get_ipython()
    if shell is None:
        return
    kernel = shell.kernel
    streams = {name: _Printed(getattr(sys, name), most) for name in ("stdout", "stderr")}
    outputs = {**streams, limit.DISPLAYS: _Displayed(kernel, most)}
    clear_output, request = shell.display_pub.clear_output, ""

    def begin(_: object) -> None:
        nonlocal request
        current = kernel.get_parent()["header"]["msg_id"]
        if request != current:  # a cell may run cells itself
            request = current
            forget()
            kernel.iopub_thread.schedule(lambda: _wait_for_reader(kernel.iopub_thread.socket))

    def forget() -> None:
        for output in outputs.values():
            output.begin()

    def clear(*arguments: Any, **options: Any) -> None:
        clear_output(*arguments, **options)
        forget()

    def end(_: object) -> None:
        for name, output in outputs.items():
            if output.left_out:
                getattr(sys, name, sys.stdout).flush()
                _tell(kernel, name, output.left_out)
                output.left_out = 0

    shell.display_pub.clear_output = clear
    shell.events.register("pre_run_cell", begin)
    shell.events.register("post_run_cell", end)


def _tell(kernel: Any, name: str, size: int) -> None:
    content = {"name": name, "text": "", "left_out": size}
    kernel.session.send(kernel.iopub_socket, "stream", content, parent=kernel.get_parent())


def _wait_for_reader(socket: Any) -> None:
    """Let a message wait while too many do, in place of being dropped. It is for the readers that there are by now."""
    socket.sndhwm = WAITING
    socket.setsockopt(zmq.XPUB_NODROP, 1)
