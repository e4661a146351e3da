"""The client of `websockets` talks to echo_server: python_client.py DEFLATE_URL PLAIN_URL"""

import asyncio
import hashlib
import sys
from contextlib import asynccontextmanager

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect as connect_sync

LIMIT_SECONDS = 30
MAX_MESSAGE = 1024 * 1024  # echo_server's default
SIZES = [0, 1, 125, 126, 65535, 65536]

failures = 0


async def check(name, body):
    """Runs one check and prints its line; a check that fails doesn't keep the next ones from running."""
    global failures
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            await body
        print(f"ok    python client, {name}", flush=True)
    except Exception as error:
        failures += 1
        line = repr(error).replace("\n", " ")[:300]
        print(f"FAIL  python client, {name}: {line}", flush=True)


def text(size):
    """A text of exactly `size` bytes of UTF-8, with characters of one to four bytes."""
    phrase = "sockeye, Rotlachs, нерка, ベニザケ, 🐟; "
    whole = phrase * (size // len(phrase.encode()))
    return whole + "." * (size - len(whole.encode()))


def noise(size):
    """`size` bytes that don't compress."""
    return hashlib.shake_256(b"").digest(size)


def expect(actual, expected, what="message"):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r:.100} instead of {expected!r:.100}")


class Dialect:
    """A way to open connections; with `agreed`, permessage-deflate has to be negotiated, and those parameters."""

    def __init__(self, name, url, *, agreed=None, **options):
        self.name = name
        self.url = url
        self.agreed = agreed
        self.options = options

    @asynccontextmanager
    async def open(self, **options):
        async with connect(self.url, proxy=None, max_size=None, **self.options, **options) as websocket:
            yield websocket

    def checks(self):
        return [
            ("the negotiated extensions and no subprotocol", self.negotiates()),
            ("text of 0 bytes to 1 MiB", self.echoes(text(size) for size in [*SIZES, MAX_MESSAGE - 1, MAX_MESSAGE])),
            # Deflate makes noise longer, so one of 1 MiB may be refused for its length on the wire.
            ("binary of 0 bytes to almost 1 MiB", self.echoes(noise(size) for size in [*SIZES, MAX_MESSAGE - 16_384])),
            ("repetitions far apart", self.echoes([noise(20_000) * 3, text(3000), noise(20_000)])),
            ("fragments", self.fragments()),
            ("a pong carries its ping's payload", self.pings()),
            ("1000 messages in a row come back in order", self.many()),
            ("close codes and reasons are echoed", self.closes()),
            ("1009 for a message that is too big", self.too_big()),
            ("the blocking client", asyncio.to_thread(self.blocking)),
        ]

    async def negotiates(self):
        async with self.open(subprotocols=["chat"]) as websocket:
            expect(websocket.subprotocol, None, "subprotocol")
            answer = websocket.response.headers.get("Sec-WebSocket-Extensions", "")
            names = [extension.name for extension in websocket.protocol.extensions]
        if self.agreed is None:
            expect(names, [], "extensions")
            expect(answer, "", "Sec-WebSocket-Extensions")
        else:
            expect(names, ["permessage-deflate"], "extensions")
            for parameter in self.agreed:
                expect(parameter in answer, True, f"{parameter} in {answer}")

    async def echoes(self, messages):
        async with self.open() as websocket:
            for message in messages:
                await websocket.send(message)
                expect(await websocket.recv(), message)

    async def fragments(self):
        async with self.open() as websocket:
            for chunks in (["one ", "Grüße", "", " three"], ["", ""], [text(9_000)] * 10):
                await websocket.send(chunks)
                expect(await websocket.recv(), "".join(chunks))
            for chunks in ([b"\x00", b"", noise(700)], [noise(70_000)] * 3):
                await websocket.send(chunks)
                expect(await websocket.recv(), b"".join(chunks))

    async def pings(self):
        async with self.open() as websocket:
            for payload in (b"sockeye", noise(125)):
                answered = await websocket.ping(payload)
                await answered

    async def many(self):
        messages = [f"{index} {text(index)}" if index % 2 else noise(index) for index in range(1000)]
        async with self.open() as websocket:
            await asyncio.gather(self.send_all(websocket, messages), self.expect_all(websocket, messages))

    @staticmethod
    async def send_all(websocket, messages):
        for message in messages:
            await websocket.send(message)

    @staticmethod
    async def expect_all(websocket, messages):
        for message in messages:
            expect(await websocket.recv(), message)

    async def closes(self):
        for code, reason in ((3000, "bye"), (1000, text(123)), (4999, "")):
            async with self.open() as websocket:
                await websocket.send("before the end")
                expect(await websocket.recv(), "before the end")
                await websocket.close(code, reason)
                expect((websocket.close_code, websocket.close_reason), (code, reason), "close")

    async def too_big(self):
        async with self.open() as websocket:
            await websocket.send("before")
            expect(await websocket.recv(), "before")
            try:
                await websocket.send(text(MAX_MESSAGE + 1))
                await websocket.recv()
            except ConnectionClosed as closed:
                expect(closed.rcvd and closed.rcvd.code, 1009, "close code")
            else:
                raise AssertionError("the message was echoed")

    def blocking(self):
        with connect_sync(self.url, proxy=None, **self.options) as websocket:
            for message in ("text", b"binary", text(70_000)):
                websocket.send(message)
                expect(websocket.recv(timeout=LIMIT_SECONDS), message)
            websocket.close(3000, "bye")
            expect((websocket.close_code, websocket.close_reason), (3000, "bye"), "close")


async def interactive(url):
    """Types into `python -m websockets URL`; the end of its input makes it close."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "websockets", url,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        for line in ("hello", "Grüße, 鮭 🐟", "x" * 5000):
            process.stdin.write(f"{line}\n".encode())
            await process.stdout.readuntil(f"< {line}\n".encode())
        process.stdin.close()
        rest = await process.stdout.read()
        expect(b"Connection closed: 1000 (OK)." in rest, True, f"a clean close in {rest}")
        expect(await process.wait(), 0, "exit status")
    finally:
        if process.returncode is None:
            process.kill()


async def main(deflate_url, plain_url):
    small = ClientPerMessageDeflateFactory(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=10,
        client_max_window_bits=10,
    )
    narrow = ClientPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=9)
    dialects = [
        Dialect("deflate", deflate_url, agreed=[]),
        Dialect(
            "deflate without context takeover, with 10 window bits",
            deflate_url,
            agreed=["server_no_context_takeover", "server_max_window_bits=10"],
            compression=None,
            extensions=[small],
        ),
        Dialect(
            "deflate with 9 window bits",
            deflate_url,
            agreed=["server_max_window_bits=9"],
            compression=None,
            extensions=[narrow],
        ),
        Dialect("deflate not offered", deflate_url, compression=None),
        Dialect("deflate offered and declined", plain_url),
        Dialect("no deflate on either side", plain_url, compression=None),
    ]
    for dialect in dialects:
        for name, body in dialect.checks():
            await check(f"{dialect.name}: {name}", body)
    await check("python -m websockets, deflate", interactive(deflate_url))
    await check("python -m websockets, no deflate", interactive(plain_url))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
