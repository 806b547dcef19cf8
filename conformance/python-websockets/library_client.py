"""Calls the library over WebSocket with Debian's python3-websockets; a line of JSON for each check."""

import asyncio
import json
import sys
import traceback

import websockets

BASE = sys.argv[1]
RPC = "library.v1.LibraryService/"
LIMIT_S = 20


class Socket:
    """A socket, with the frames received until it is closed."""

    def __init__(self, ws):
        self.ws = ws

    async def send(self, *frames):
        for frame in frames:
            await self.ws.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame))

    async def json(self):
        return json.loads(await self.ws.recv())

    async def rest(self):
        """All remaining frames, followed by the close code."""
        frames = [frame async for frame in Frames(self.ws)]
        return frames, self.ws.close_code


class Frames:
    def __init__(self, ws):
        self.ws = ws

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self.ws.recv()
        except websockets.exceptions.ConnectionClosed:
            raise StopAsyncIteration from None


class Opened:
    """`async with open(path)`"""

    def __init__(self, path, **options):
        self.connection = websockets.connect(BASE + path, **options)

    async def __aenter__(self):
        return Socket(await self.connection.__aenter__())

    async def __aexit__(self, *what):
        await self.connection.__aexit__(*what)


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r} is not {expected!r}")


def ended(frames, code):
    """The last frame is a status of this code, with all its members."""
    status = json.loads(frames[-1])
    equal(sorted(status), ["headers", "status", "trailers"])
    equal(status["status"]["code"], code)
    return status


def text_field(number, text):
    """A protobuf field of up to 127 bytes of text."""
    data = text.encode()
    return bytes([number << 3 | 2, len(data)]) + data


async def unary_by_path_and_query():
    async with Opened("/v1/shelves/-/books?pageSize=2&orderBy=title", subprotocols=["json"]) as socket:
        equal(socket.ws.subprotocol, "json")
        frames, code = await socket.rest()
        equal(code, 1000)
        equal(len(json.loads(frames[0])["books"]), 2)
        ended(frames, 0)


async def unary_by_frame():
    async with Opened("/" + RPC + "GetShelf") as socket:
        equal(socket.ws.subprotocol, None)
        await socket.send({"name": "shelves/1"})
        frames, code = await socket.rest()
        equal((code, json.loads(frames[0])["shelf"]["name"]), (1000, "shelves/1"))


async def unary_in_protobuf():
    async with Opened("/" + RPC + "GetShelf", subprotocols=["proto", "json"]) as socket:
        equal(socket.ws.subprotocol, "proto")
        await socket.send(text_field(1, "shelves/1"))
        frames, code = await socket.rest()
        equal((code, len(frames)), (1000, 2))
        if text_field(1, "shelves/1") not in frames[0]:
            raise AssertionError(f"no name in {frames[0]!r}")
        ended(frames, 0)


async def unary_that_fails():
    async with Opened("/v1/shelves/none/books/none") as socket:
        frames, code = await socket.rest()
        equal(code, 4005)
        status = ended(frames, 5)
        equal(socket.ws.close_reason, status["status"]["message"])


async def message_that_is_none():
    async with Opened("/" + RPC + "GetShelf") as socket:
        await socket.send("{")
        frames, code = await socket.rest()
        equal(code, 4003)
        ended(frames, 3)


async def wrong_kind_of_frame():
    async with Opened("/" + RPC + "GetShelf", subprotocols=["json"]) as socket:
        await socket.send(b"{}")
        frames, code = await socket.rest()
        equal(code, 1003)
        ended(frames, 3)


async def server_stream():
    async with Opened("/v1/shelves/1/books:watch") as socket:
        kinds = []
        while not kinds or kinds[-1] != "CHANGE_TYPE_SYNCED":
            kinds.append((await socket.json())["type"])
        equal(set(kinds[:-1]), {"CHANGE_TYPE_PRESENT"})
        async with Opened("/v1/shelves/1/books:import") as other:
            await other.send({"title": "Watched"}, "")
            await other.rest()
        change = await socket.json()
        equal((change["type"], change["book"]["title"]), ("CHANGE_TYPE_CREATED", "Watched"))
        await socket.ws.close(1000)
        equal(socket.ws.close_code, 1000)


async def header_by_query():
    async with Opened("/v1/shelves/1/books:watch?$header.grpc-timeout=300m") as socket:
        frames, code = await socket.rest()
        equal(code, 4004)
        ended(frames, 4)


async def header_by_handshake():
    async with Opened("/v1/shelves/1/books:watch", extra_headers={"grpc-timeout": "300m"}) as socket:
        equal((await socket.rest())[1], 4004)


async def header_by_frame():
    async with Opened("/v1/shelves/1/books:watch?$headers=frame") as socket:
        await socket.send({"headers": {"grpc-timeout": "300m"}})
        equal((await socket.rest())[1], 4004)


async def client_stream_with_half_close():
    async with Opened("/v1/shelves/1/books:import", subprotocols=["json"]) as socket:
        for number in range(100):
            await socket.send({"title": f"Book {number}"})
        await socket.send({"title": ""}, "")
        frames, code = await socket.rest()
        reply = json.loads(frames[0])
        equal((code, reply["imported"], [one["index"] for one in reply["failures"]]), (1000, 100, [100]))
        ended(frames, 0)


async def bidi_stream():
    async with Opened("/v1/helpdesk:chat", subprotocols=["json"]) as socket:
        welcome = await socket.json()
        equal(welcome["text"].startswith("Welcome"), True)
        for question in ("zzz", "yyy"):
            await socket.send({"text": question})
            equal((await socket.json())["text"], f'We have nothing like "{question}".')
        await socket.send("")
        frames, code = await socket.rest()
        equal((code, len(frames)), (1000, 1))
        ended(frames, 0)


async def bidi_stream_in_protobuf():
    async with Opened("/v1/helpdesk:chat", subprotocols=["proto"]) as socket:
        await socket.ws.recv()
        await socket.send(text_field(1, "zzz"))
        equal(await socket.ws.recv(), text_field(1, 'We have nothing like "zzz".'))
        await socket.send("")
        frames, code = await socket.rest()
        equal(code, 1000)
        ended(frames, 0)


async def fragments_and_pings():
    async with Opened("/v1/helpdesk:chat") as socket:
        await socket.json()

        async def parts():
            for part in ('{"te', 'xt":"z', 'zz"}'):
                yield part
                await (await socket.ws.ping())

        await socket.ws.send(parts())
        equal((await socket.json())["text"], 'We have nothing like "zzz".')
        await socket.send("")
        equal((await socket.rest())[1], 1000)


async def refused(path, status, **options):
    try:
        async with Opened(path, **options):
            raise AssertionError("the socket was opened")
    except websockets.exceptions.InvalidStatusCode as refusal:
        equal(refusal.status_code, status)


async def unknown_path():
    await refused("/v1/nothing", 404)


async def unknown_subprotocol():
    await refused("/v1/helpdesk:chat", 400, subprotocols=["soap"])


async def foreign_page():
    await refused("/v1/helpdesk:chat", 403, origin="https://evil.example")


async def too_large():
    async with Opened("/v1/helpdesk:chat") as socket:
        await socket.json()
        await socket.send({"text": "x" * (1 << 20)})
        equal((await socket.rest())[1], 1009)


async def all_kinds_on_one_socket():
    async with Opened("/ws", subprotocols=["json"]) as socket:
        equal(socket.ws.subprotocol, "json")
        shelf = {"id": "unary", "method": RPC + "GetShelf", "message": {"name": "shelves/1"}}
        watch = {"id": 1, "method": RPC + "WatchBooks", "message": {"parent": "shelves/1"}}
        book = {"parent": "shelves/1", "book": {"title": "Shared"}}
        upload = {"id": "1", "method": RPC + "ImportBooks", "message": book}
        chat = {"id": 2, "method": RPC + "Chat", "message": {"text": "zzz"}}
        await socket.send(shelf, watch, upload, chat)
        await socket.send({"id": "1", "message": {"book": {"title": "Shared too"}}, "end": True})
        await socket.send({"id": 2, "end": True})
        messages, statuses = {}, {}
        wanted = {"Shared", "Shared too"}
        while len(statuses) < 3 or wanted:
            frame = await socket.json()
            if "status" in frame:
                statuses[frame["id"]] = frame["status"]["code"]
            else:
                messages.setdefault(frame["id"], []).append(frame["message"])
                wanted.discard(frame["message"].get("book", {}).get("title"))
        equal(statuses, {"unary": 0, "1": 0, 2: 0})
        equal(messages["unary"][0]["shelf"]["name"], "shelves/1")
        equal(messages["1"][0]["imported"], 2)
        equal(len(messages[2]), 2)
        await socket.send({"id": 1, "cancel": True})
        frame = await socket.json()
        while "status" not in frame:
            frame = await socket.json()  # Changes that were sent before.
        equal((frame["id"], frame["status"]["code"]), (1, 1))
        await socket.ws.close(1000)
        equal(socket.ws.close_code, 1000)


async def calls_that_fail_on_one_socket():
    async with Opened("/ws") as socket:
        await socket.send({"id": 1, "method": RPC + "Nothing"})
        equal((await socket.json())["status"]["code"], 12)
        await socket.send({"id": 2, "method": RPC + "Chat", "timeoutMs": 200})
        equal((await socket.json())["id"], 2)
        equal((await socket.json())["status"]["code"], 4)
        await socket.send("nonsense")
        equal((await socket.rest())[1], 1007)


CHECKS = [
    unary_by_path_and_query,
    unary_by_frame,
    unary_in_protobuf,
    unary_that_fails,
    message_that_is_none,
    wrong_kind_of_frame,
    server_stream,
    header_by_query,
    header_by_handshake,
    header_by_frame,
    client_stream_with_half_close,
    bidi_stream,
    bidi_stream_in_protobuf,
    fragments_and_pings,
    unknown_path,
    unknown_subprotocol,
    foreign_page,
    too_large,
    all_kinds_on_one_socket,
    calls_that_fail_on_one_socket,
]


async def main():
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        try:
            await asyncio.wait_for(check(), LIMIT_S)
            problem = None
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            problem = f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"
        print(json.dumps({"name": name, "problem": problem}), flush=True)


asyncio.run(main())
