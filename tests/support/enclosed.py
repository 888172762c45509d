"""Runs a server in a network of its own, so that nobody else can reach it but by one port.

`unshare --map-root-user --net python enclosed.py LISTENING-SOCKET PORT COMMAND…`: what connects to
the socket, which was opened outside, is handed to PORT inside. Its first line of output is the pid
of the server. It ends with its standard input, and the server with it.
"""

import asyncio
import fcntl
import os
import socket
import struct
import subprocess
import sys

SET_FLAGS, UP_AND_RUNNING = 0x8914, 0x41


def raise_loopback() -> None:
    """Make 127.0.0.1 of this network work: a fresh one has it switched off."""
    with socket.socket() as probe:
        fcntl.ioctl(probe, SET_FLAGS, struct.pack("16sh", b"lo", UP_AND_RUNNING))


async def main(listening: int, port: int, command: list[str]) -> None:
    """Run `command` until nobody wants it any more."""
    raise_loopback()
    # Its output goes where our errors go: nobody reads ours.
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: ASYNC220, S603
    print(server.pid, flush=True)  # noqa: T201

    async def hand_over(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))

    await asyncio.start_server(hand_over, sock=socket.socket(fileno=listening))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    server.kill()
    server.wait()
    os._exit(0)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
