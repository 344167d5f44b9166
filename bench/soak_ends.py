"""The two ends of a soak: clients that send as fast as they are answered, destinations that count.

    python -m bench.soak_ends client NUMBER PORT DIRECTORY CONNECTIONS BURST_S EVERY_S
    python -m bench.soak_ends sink DIRECTORY PORT...

A client sends all the time (BURST_S = 0), or only for the last BURST_S of every EVERY_S seconds. It
sends a refused request again, as an SDK would, until SIGTERM; what was acknowledged is in
DIRECTORY/client-NUMBER.acked: first number and count of each request. DIRECTORY/client-NUMBER.ready
says that it has begun. A sink that ends at SIGTERM
leaves in DIRECTORY/sink-PORT-CLIENT.counts one byte per number: how often it arrived.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

import aiohttp
import uvloop
from aiohttp import web

from bench.numbered import Template, is_whole, numbers
from bench.servers import LIMIT

_SIZES: Final = (512, 512, 256, 64, 16, 1)
_PROTOBUF: Final = {"content-type": "application/x-protobuf"}
_LONGEST_WAIT_S: Final = 1.0


class Stop:
    """Set by SIGTERM."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.asked.set)

    async def within(self, seconds: float) -> None:
        """Wait so long, or until asked to stop."""
        try:
            await asyncio.wait_for(self.asked.wait(), seconds)
        except TimeoutError:
            pass


# ---- clients -----------------------------------------------------------------------------------


class Client:
    """Several connections of one process."""

    def __init__(self, number: int, port: int, out: TextIO, burst_s: float, every_s: float) -> None:
        self._number = number
        self._url = f"http://127.0.0.1:{port}/v1/traces"
        self._out = out
        self._burst_s, self._every_s = burst_s, every_s
        self._templates = [Template(1000 * number + n, size) for n, size in enumerate(_SIZES)]
        self._next = 1
        self._stop = Stop()
        self.seen: Counter[str] = Counter()

    async def run(self, connections: int) -> None:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(self._send_all(session) for _ in range(connections)))

    async def _send_all(self, session: aiohttp.ClientSession) -> None:
        rng = random.Random(self._number)
        while not self._stop.asked.is_set():
            rest = self._every_s - self._burst_s - time.time() % self._every_s
            if self._burst_s and rest > 0:
                await self._stop.within(rest)
                continue
            template = rng.choice(self._templates)
            first, self._next = self._next, self._next + template.spans
            body = bytes(template.numbered(self._number, first))
            while not self._stop.asked.is_set():
                wait_s = await self._post(session, body)
                if wait_s == 0:
                    self._out.write(f"{first} {template.spans}\n")
                    break
                await self._stop.within(wait_s)

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> float:
        """0 when it was taken, else how long to wait."""
        async with session.post(self._url, data=body, headers=_PROTOBUF) as response:
            await response.read()
            self.seen[str(response.status)] += 1
            if response.status == 200:
                return 0
            wanted = float(response.headers.get("Retry-After", "1"))
            return random.uniform(0.5, 1) * min(wanted, _LONGEST_WAIT_S)


async def client(number: int, port: int, directory: Path, connections: int, *when: float) -> None:
    path = directory / f"client-{number}.acked"
    with path.open("w", buffering=1) as out:
        sending = Client(number, port, out, *when)
        (directory / f"client-{number}.ready").touch()
        await sending.run(connections)
    (directory / f"client-{number}.seen").write_text(json.dumps(sending.seen))


# ---- destinations ------------------------------------------------------------------------------


class Counts:
    """How often each number of each client arrived; saturates at 255."""

    def __init__(self) -> None:
        self._by_client: dict[int, bytearray] = {}
        self.torn = 0

    def add(self, body: bytes) -> None:
        first: tuple[int, int] | None = None
        for who, number in numbers(body):
            first = first or (who, number)
            counts = self._by_client.setdefault(who, bytearray())
            if number >= len(counts):
                counts.extend(bytes(max(1 << 20, number + 1 - len(counts))))
            counts[number] = min(255, counts[number] + 1)
        if first is not None and not is_whole(body, *first):
            self.torn += 1

    def write(self, directory: Path, port: int) -> None:
        for who, counts in self._by_client.items():
            (directory / f"sink-{port}-{who}.counts").write_bytes(counts)
        (directory / f"sink-{port}.torn").write_text(str(self.torn))


async def destinations(directory: Path, ports: list[int]) -> None:
    stop = Stop()
    found = {port: Counts() for port in ports}
    runners = []
    for port, counts in found.items():

        async def handle(request: web.Request, counts: Counts = counts) -> web.Response:
            counts.add(await request.read())
            return web.Response(content_type=_PROTOBUF["content-type"])

        app = web.Application(client_max_size=LIMIT)
        app.router.add_post("/v1/traces", handle)
        runners.append(web.AppRunner(app, access_log=None, shutdown_timeout=1))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", port).start()
    await stop.asked.wait()
    for runner in runners:
        await runner.cleanup()
    for port, counts in found.items():
        counts.write(directory, port)


# ---- books -------------------------------------------------------------------------------------


def acknowledged(directory: Path, who: int) -> Iterator[tuple[int, int]]:
    """First number and count of each acknowledged request; the last line may be half written."""
    text = (directory / f"client-{who}.acked").read_text()
    for line in text[: text.rfind("\n") + 1].splitlines():
        first, count = line.split()
        yield int(first), int(count)


def missing(directory: Path, who: int, port: int) -> tuple[int, int, int]:
    """Acknowledged spans, how many of them never arrived, and how many arrivals were repeated."""
    path = directory / f"sink-{port}-{who}.counts"
    counts = path.read_bytes() if path.exists() else b""
    taken = lost = 0
    for first, count in acknowledged(directory, who):
        taken += count
        arrived = counts[first : first + count]
        lost += count - len(arrived) + arrived.count(0)
    repeated = sum(n - 1 for n in itertools.filterfalse((0, 1).__contains__, counts))
    return taken, lost, repeated


def main(kind: str, *arguments: str) -> None:
    if kind == "sink":
        uvloop.run(destinations(Path(arguments[0]), [int(port) for port in arguments[1:]]))
        return
    number, port, directory, connections, *when = arguments
    times = [float(one) for one in when]
    uvloop.run(client(int(number), int(port), Path(directory), int(connections), *times))


if __name__ == "__main__":
    main(*sys.argv[1:])
