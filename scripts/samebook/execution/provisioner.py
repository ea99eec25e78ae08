"""The kernel provisioner `samebook` of Jupyter's client, found by its entry point: warm, else early, else cold.

https://jupyter-client.readthedocs.io/en/stable/provisioning.html
"""

import asyncio
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any, override

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
from nbclient.exceptions import DeadKernelError
from traitlets import Type

from samebook.environment import interactive
from samebook.execution import background
from samebook.execution.cells import kernel_limit
from samebook.execution.warm.face import Origin
from samebook.records import run_folder

# Seconds between two looks at a process, and for which a killed one is looked at; then Jupyter's own wait goes on.
POLL = 0.005
KILL_WAIT = 1.0


@dataclass
class KernelSource(Origin):
    """The origin of a kernel, and what its run has to know of it.

    `variables` are those of a kernel outside of a run, in place of those that it is started with. `run` is the folder
    of the run, which notes the kernel's process. `exit_code` is that of this process once it has ended: below 0 for a
    signal, as in `subprocess`. A kernel is replaced where it has become another program, as by os.execv.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    run: Path | None = None
    exit_code: int | None = None
    is_replaced: bool = False


# The source of the kernel that is started next: Jupyter has no way to hand it on.
KERNEL_SOURCE: ContextVar[KernelSource | None] = ContextVar("KERNEL_SOURCE", default=None)


@contextmanager
def starting_from(source: KernelSource) -> Iterator[None]:
    """The block in which kernels are started from this source; before and after it, Jupyter starts them as it likes."""
    factory = KernelProvisionerFactory.instance()
    name, factory.default_provisioner_name = factory.default_provisioner_name, "samebook"
    token = KERNEL_SOURCE.set(source)
    try:
        yield
    finally:
        KERNEL_SOURCE.reset(token)
        factory.default_provisioner_name = name


class Provisioner(LocalProvisioner):
    """Starts a kernel from its source; from then on the kernel is like any other."""

    source: KernelSource | None = None
    program = ""

    @override
    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        source = self.source = KERNEL_SOURCE.get()
        kwargs["env"] = self._variables(kwargs["env"])
        cwd = str(kwargs.get("cwd") or Path.cwd())
        process = source.process(cmd, kwargs["env"], cwd) if source else None
        if process is None:
            output = source.output if source else None
            return await super().launch_kernel(cmd, **kwargs, stdout=output, stderr=output)
        self.process, self.pid, self.pgid = process, process.pid, process.pid
        self.cwd: Any = cwd
        return self.connection_info

    def _variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """The variables of the kernel: those that are given in a run, else those that one would have, and Jupyter's."""
        if self.source and not self.source.variables:
            return dict(given)
        names = [name for name in given if name.startswith(interactive.SESSION) or name in self.kernel_spec.env]
        jupyters = {name: given[name] for name in names}
        return {**self.source.variables, **jupyters} if self.source else interactive.of_session(jupyters)

    @override
    async def post_launch(self, **kwargs: Any) -> None:
        """Return once the kernel listens: a client that connects before that waits until zmq tries again."""
        await super().post_launch(**kwargs)
        info = self.connection_info
        if info.get("transport") == "ipc":
            paths = [Path(f"{info['ip']}-{number}") for name, number in info.items() if name.endswith("_port")]
            while await self.poll() is None and not all(path.exists() for path in paths):
                await asyncio.sleep(POLL)
        self.program = background.program(self.pid) if self.pid else ""
        if self.pid and self.source and self.source.run:
            run_folder.note_kernel(self.source.run, self.pid)

    @override
    async def poll(self) -> int | None:
        code = await super().poll()
        if code is None and self.source and self.program and self.program != background.program(self.pid):
            self.source.is_replaced = True
            await self.send_signal(signal.SIGKILL)  # it would never answer
        if self.source and self.source.exit_code is None:
            self.source.exit_code = code
        return code

    @override
    async def kill(self, restart: bool = False) -> None:
        """Return once the process has ended: Jupyter would look for its end only ten times a second."""
        await super().kill(restart)
        deadline = time.monotonic() + KILL_WAIT
        while await self.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(POLL)

    @override
    async def wait(self) -> int | None:
        """Return once the process has ended; Jupyter calls this only when the end is near."""
        while self.process and self.process.poll() is None:
            await asyncio.sleep(POLL)
        return await super().wait()


class _Channel(AsyncZMQSocketChannel):
    """A channel that waits for a message at once; Jupyter's own waits until there is one, and then for it."""

    @override
    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:
        return await (self._recv() if timeout is None else super().get_msg(timeout))


class Client(AsyncKernelClient):
    """A client that sees at once that a kernel is ready; Jupyter's own waits until it has been silent for a while."""

    shell_channel_class = Type(_Channel)
    iopub_channel_class = Type(_Channel)

    @override
    def start_channels(
        self, shell: bool = True, iopub: bool = True, stdin: bool = True, hb: bool = False, control: bool = True
    ) -> None:
        """Start the channels without the heartbeat, whose thread takes time to end: the process is watched instead."""
        super().start_channels(shell, iopub, stdin, hb, control)
        self.iopub_channel.socket.rcvhwm = kernel_limit.WAITING

    @override
    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Return once a request was answered and its end was published: from then on no output gets lost.

        Raises DeadKernelError where the kernel dies, or does not answer within `timeout` seconds.
        """
        deadline = time.monotonic() + (timeout or float("inf"))
        pause = 0.05
        while time.monotonic() < deadline:
            request = self.kernel_info()
            if await self._is_published(request, time.monotonic() + pause):
                return
            pause = min(pause * 2, 1.0)
            if not await self._async_is_alive():
                raise DeadKernelError("Kernel died before replying to kernel_info")
        raise DeadKernelError(f"Kernel didn't respond in {timeout} seconds")

    async def _is_published(self, request: str, deadline: float) -> bool:
        """Whether the end of a request is published in time; then its answer has arrived as well."""
        while (seconds := deadline - time.monotonic()) > 0:
            try:
                message = await self.iopub_channel.get_msg(timeout=seconds)
            except Empty:
                return False
            is_of_request = message["parent_header"].get("msg_id") == request
            if is_of_request and message["content"].get("execution_state") == "idle":
                self._handle_kernel_info_reply(await self.shell_channel.get_msg(timeout=1))
                return True
        return False
