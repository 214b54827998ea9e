"""A TCP link between a process and a server, which breaks in the ways that links break."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

CHUNK_BYTES = 16 * 1024


class Link:
    """A proxy on a port of its own: `url` leads to `server_url` through it.

    `up` and `down` are the directions to and from the server. What a held direction is given waits,
    as behind a router that drops every packet; it is lost when the link is cut.
    """

    def __init__(self, server_url: str) -> None:
        self._server = urlsplit(server_url)
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stranded: list[asyncio.Event] = []
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self.down_most_bytes: int | None = None
        """New connections are closed, in order, after so many bytes from the server."""
        self.down_bytes = bytearray()
        """All that came from the server."""
        self.heal()

    @property
    def url(self) -> str:
        """The server's address by way of this link."""
        user, _, _ = self._server.netloc.rpartition("@")
        return urlunsplit(self._server._replace(netloc=f"{user}@127.0.0.1:{self._port}"))

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self._port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        self.cut()
        for gate in (*self._stranded, self.up, self.down):
            gate.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold(self) -> None:
        """Let nothing through, in either direction."""
        self.up.clear()
        self.down.clear()

    def strand(self) -> None:
        """Let nothing through on the connections that there are, everything on new ones."""
        self.hold()
        self._stranded += [self.up, self.down]
        self.up, self.down = asyncio.Event(), asyncio.Event()
        self.heal()

    def heal(self) -> None:
        """Let everything through again, also what was held."""
        self.up.set()
        self.down.set()
        self.down_most_bytes = None

    def cut(self) -> None:
        """Reset every connection; what was held is lost. New ones may be made at once."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            server = await asyncio.open_connection(self._server.hostname, self._server.port)
            self._writers.add(server[1])
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_up(reader, server[1], self.up))
                group.create_task(self._pass_down(server[0], writer, self.down))
            self._writers.discard(server[1])
        except OSError:
            writer.transport.abort()
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _pass_up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await gate.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _pass_down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event
    ) -> None:
        left = self.down_most_bytes
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await gate.wait()
                self.down_bytes += data
                writer.write(data[:left])
                if left is not None and (left := left - len(data)) <= 0:
                    break
                await writer.drain()
        writer.close()
