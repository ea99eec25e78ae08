"""The limit of a cell's output in its kernel, which sends no more of it than the runner keeps of any cell.

A kernel that prints or displays faster than its runner reads would fill the memory of both. What it has not sent it
tells at the end of the cell, and a forked process at once. What it sends waits for the runner to read it: zmq would
drop it. A cell ends once all that its forked processes have printed is sent.
"""

import itertools
import os
import sys
import threading
from collections import Counter, defaultdict
from typing import Any

import zmq

from samebook.execution.cells import limit

# The messages that wait on either side. zmq's own default, a thousand, is a gigabyte of pictures.
WAITING = 32
# The message behind the last one of forked processes, and the seconds for which a cell waits for it: a process that
# outlives the cell may print without end.
LAST, LONGEST = b"last", 60.0


class _Printed:
    """What a cell prints to a stream of the kernel. `left_out` is in bytes."""

    def __init__(self, kernel: Any, name: str, most: int) -> None:
        self.kernel, self.name, self.most, self.pid = kernel, name, most, os.getpid()
        self.stream = getattr(sys, name)
        self.write, self.stream.write = self.stream.write, self.add
        self.begin()

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
        if os.getpid() != self.pid:
            self.tell()
        return len(text)

    def tell(self) -> None:
        """Tell the runner what was left out, behind all that was printed."""
        if self.left_out:
            self.stream.flush()
            _tell(self.kernel, self.name, self.left_out)
            self.left_out = 0


class _Displayed:
    """What a cell displays, by whichever way. `left_out` is in bytes, without those of the first, told at once."""

    def __init__(self, kernel: Any, most: int) -> None:
        self.kernel, self.send, self.limit, self.pid = kernel, kernel.session.send, limit.Limit(most), os.getpid()
        self.begin()
        kernel.session.send = self.add

    def begin(self) -> None:
        """Count from nothing."""
        self.limit.begin()
        self.left_out = 0

    def add(self, stream: Any, message: Any, *arguments: Any, **options: Any) -> Any:
        earlier = self.limit.left_out[limit.DISPLAYS]
        is_display = isinstance(message, dict) and message["msg_type"] in limit.DISPLAYED
        if not is_display or self._admits(message):
            return self.send(stream, message, *arguments, **options)
        self.left_out += self.limit.left_out[limit.DISPLAYS] - earlier
        if not earlier or os.getpid() != self.pid:
            self.tell()
        return None

    def tell(self) -> None:
        """Tell the runner what was left out."""
        if self.left_out:
            _tell(self.kernel, limit.DISPLAYS, self.left_out)
            self.left_out = 0

    def _admits(self, message: Any) -> bool:
        try:
            return self.limit.admits(message)
        except (TypeError, ValueError, RecursionError):  # no JSON: Jupyter makes some of it, or says so
            return True


class _Forked:
    """The way on which forked processes send: theirs to the process that has forked them, `thread` there sends it on.

    ipykernel's own way forgets the order of a process, lets the end of the cell overtake it, and can block for ever.
    """

    def __init__(self, thread: Any) -> None:
        self.thread, self.is_used, self.is_sent = thread, False, threading.Event()
        self.next, self.early = Counter[bytes](), defaultdict[bytes, dict[int, list[bytes]]](dict)
        os.register_at_fork(after_in_parent=self._use, after_in_child=self._take_over)

    def open(self) -> None:
        """Take what comes; it is called in the thread."""
        if self.thread._pipe_flag:  # else what a forked process prints is not had
            self.thread._pipe_in.on_recv(self._receive)

    def finish(self) -> None:
        """Wait until all is sent on that forked processes have sent."""
        if self.is_used and self.thread._pipe_flag and self.thread.thread.is_alive():
            self.is_sent.clear()
            self._put(LAST)
            self.is_sent.wait(LONGEST)

    def _use(self) -> None:
        self.is_used = True

    def _take_over(self) -> None:
        """In a forked process: send by the other one, each message with its number."""
        name, numbers = os.urandom(8), itertools.count()

        def send(message: list[Any], *_: object, **__: object) -> None:
            self._put(name, b"%d" % next(numbers), *message)

        self.thread._really_send = send

    def _put(self, *parts: Any) -> None:
        context, pipe = self.thread._setup_pipe_out()
        pipe.send_multipart([self.thread._pipe_uuid, *parts])
        pipe.close()
        context.term()  # a process may end without another chance to send

    def _receive(self, message: list[bytes]) -> None:
        if message[0] != self.thread._pipe_uuid:  # any program of the machine can send to the port
            return
        _, name, *parts = message
        if name == LAST:
            self._look()
            return
        early = self.early[name]
        early[int(parts[0])] = parts[1:]
        while self.next[name] in early:
            self.thread._really_send(early.pop(self.next[name]))
            self.next[name] += 1

    def _look(self) -> None:
        """Once nothing waits, send what is left behind a message that was lost."""
        if self.thread._pipe_in.socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            self.thread.io_loop.call_later(0.01, self._look)
            return
        for name, early in self.early.items():
            for number in sorted(early):
                self.thread._really_send(early.pop(number))
                self.next[name] = number + 1
        self.is_sent.set()


def start(most: int) -> None:
    """Send no more than so many bytes of a cell's stdout, of its stderr, and of its displays."""
    from IPython.core.getipython import get_ipython  # a runner never imports it

    shell: Any = get_ipython()
    if shell is None:
        return
    kernel = shell.kernel
    outputs = [_Printed(kernel, "stdout", most), _Printed(kernel, "stderr", most), _Displayed(kernel, most)]
    clear_output, request, forked = shell.display_pub.clear_output, "", _Forked(kernel.iopub_thread)

    def begin(_: object) -> None:
        nonlocal request
        current = kernel.get_parent()["header"]["msg_id"]
        if not request:  # by now the runner is there, the only reader
            kernel.iopub_thread.schedule(lambda: _wait_for_reader(kernel.iopub_thread.socket))
            kernel.iopub_thread.schedule(forked.open)
        if request != current:  # a cell may run cells itself
            request = current
            forget()

    def forget() -> None:
        for output in outputs:
            output.begin()

    def clear(*arguments: Any, **options: Any) -> None:
        clear_output(*arguments, **options)
        forget()

    def end(_: object) -> None:
        forked.finish()
        for output in outputs:
            output.tell()

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
