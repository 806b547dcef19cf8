"""A member of a room by Debian's python3-websockets: prints the position of each line.

Arguments: URL, room, and the position behind which it begins, or nothing.
"""

import asyncio
import json
import sys

import websockets

url, room, *after = sys.argv[1:]


async def main():
    async with websockets.connect(url) as ws:
        call = {"id": 1, "method": "chat.v1.ChatService/WatchRoom", "message": {"room": room}, "end": True}
        if after:
            call["headers"] = {"last-event-id": after[0]}
        await ws.send(json.dumps({"hello": {"client": "python3-websockets"}}))
        await ws.send(json.dumps(call))
        async for text in ws:
            frame = json.loads(text)
            if "line" in frame.get("message", {}) and frame.get("position"):
                print(frame["position"], flush=True)


asyncio.run(main())
