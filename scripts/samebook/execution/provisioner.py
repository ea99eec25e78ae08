"""The kernel provisioner `samebook` of Jupyter's client, found by its entry point: warm, else early, else cold.

https://jupyter-client.readthedocs.io/en/stable/provisioning.html
"""

import asyncio
import time
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any, override

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

from samebook.execution.warm import client, kernels
from samebook.execution.warm.early import EarlyProcess
from samebook.execution.warm.kernels import Kind, Request

POLL = 0.005
# Seconds after which what was killed is left to Jupyter's own patience.
GONE = 1.0


@dataclass
class Source:
    """Where a kernel may come from: a zygote of this kind, with its socket in the folder, or one that started early.

    `start` says, once it has started, where it came from.
    """

    folder: Path | None = None
    kind: Kind | None = None
    early: EarlyProcess | None = None
    start: str = "cold"

    def process(self, request: Request) -> Any:
        """A process for the kernel, None where it must be started as any other."""
        if self.folder and self.kind and (found := client.fork(self.folder, self.kind, request)):
            self.start = "warm"
            return found
        return self.early.become(request) if self.early else None


# Where the kernel that is started next may come from: Jupyter has no way to hand it on.
SOURCE: ContextVar[Source | None] = ContextVar("SOURCE", default=None)


class Provisioner(LocalProvisioner):
    """Starts a kernel where its source says; then it is as any other."""

    @override
    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        source = SOURCE.get()
        is_ours = tuple(cmd[:3]) == kernels.COMMAND
        request = Request(cmd[3:], kwargs["env"], str(kwargs.get("cwd") or Path.cwd()))
        process = source.process(request) if source and is_ours else None
        if process is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process, self.pid, self.pgid = process, process.pid, process.pid
        self.cwd: Any = request.cwd
        return self.connection_info

    @override
    async def post_launch(self, **kwargs: Any) -> None:
        """Return once it listens: who knocks before that waits for zmq to knock again."""
        await super().post_launch(**kwargs)
        found = self.connection_info
        if found.get("transport") == "ipc":
            paths = [Path(f"{found['ip']}-{number}") for name, number in found.items() if name.endswith("_port")]
            while await self.poll() is None and not all(path.exists() for path in paths):
                await asyncio.sleep(POLL)

    @override
    async def kill(self, restart: bool = False) -> None:
        """Return once it is gone: whoever kills it looks for its end ten times a second only."""
        await super().kill(restart)
        until = time.monotonic() + GONE
        while await self.poll() is None and time.monotonic() < until:
            await asyncio.sleep(POLL)

    @override
    async def wait(self) -> int | None:
        """Wait for its end, which is near: at other times nobody asks."""
        while self.process and self.process.poll() is None:
            await asyncio.sleep(POLL)
        return await super().wait()


class Client(AsyncKernelClient):
    """A client that knows at once when a kernel is ready: Jupyter's own waits until it has been silent for a while."""

    @override
    def start_channels(
        self, shell: bool = True, iopub: bool = True, stdin: bool = True, hb: bool = False, control: bool = True
    ) -> None:
        """Start them without the heartbeat: it is the process that is watched, and its thread takes time to end."""
        super().start_channels(shell, iopub, stdin, hb, control)

    @override
    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Return once a request was answered and its end was published: then nothing that is printed gets lost.

        Raises RuntimeError where the kernel dies, or says nothing for so many seconds.
        """
        until = time.monotonic() + (timeout or float("inf"))
        pause = 0.05
        while time.monotonic() < until:
            asked = self.kernel_info()
            if await self._is_published(asked, time.monotonic() + pause):
                return
            pause = min(pause * 2, 1.0)
            if not await self._async_is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
        raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")

    async def _is_published(self, asked: str, until: float) -> bool:
        """Whether the end of a request is heard of in time; then its answer is there as well."""
        while (left := until - time.monotonic()) > 0:
            try:
                told = await self.iopub_channel.get_msg(timeout=left)
            except Empty:
                return False
            if told["parent_header"].get("msg_id") == asked and told["content"].get("execution_state") == "idle":
                self._handle_kernel_info_reply(await self.shell_channel.get_msg(timeout=1))
                return True
        return False
