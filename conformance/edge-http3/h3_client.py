"""An HTTP/3 client of aioquic that does what a script says: JSON on stdin, results as JSON on stdout.

The script is {"host", "port", "authority", "connections": [{"steps": [...], "early": bool, "loss": float, "mtu": int}]}.
Steps: {"ask": request} waits for the answer; {"start": request} does not; {"cancel": n} breaks off the n-th request of the
connection; {"all": [request, ...]} asks all at a time; {"sleep": seconds}. A request is {"method", "path", "headers",
"body", "chunks": [[seconds, text], ...], "fields": a whole head in place of all these, "binary": whether the body of the
answer is also given as base64}.
"""

import asyncio
import base64
import json
import random
import ssl
import sys
import time

from aioquic.asyncio import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StopSendingReceived, StreamReset

TIMEOUT = 20


class Answer:
    def __init__(self, binary=False):
        self.binary = binary
        self.result = {"status": None, "headers": [], "trailers": [], "body": b"", "times": []}
        self.done = asyncio.get_running_loop().create_future()
        self.begun = time.monotonic()

    def finish(self, **more):
        if not self.done.done():
            self.result.update(more)
            self.done.set_result(None)

    def shown(self):
        result = dict(self.result)
        body = result.pop("body")
        result["body"] = body.decode("utf-8", "replace")
        result["length"] = len(body)
        if self.binary:
            result["base64"] = base64.b64encode(body).decode()
        return result


class Http(H3Connection):
    """aioquic takes the length of an answer to HEAD, which has no body, for a fault of the server."""

    def __init__(self, quic):
        super().__init__(quic)
        self.heads = set()

    def _check_content_length(self, stream):
        if stream.stream_id not in self.heads:
            super()._check_content_length(stream)


class Client(QuicConnectionProtocol):
    loss = 0.0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = Http(self._quic)
        self.answers = {}
        self.order = []
        self.accepted = False
        self.gone = None

    def datagram_received(self, data, addr):
        if random.random() >= self.loss:
            super().datagram_received(data, addr)

    def quic_event_received(self, event):
        if isinstance(event, HandshakeCompleted):
            self.accepted = event.early_data_accepted
        if isinstance(event, ConnectionTerminated):
            self.gone = [event.error_code, event.reason_phrase]
            for answer in self.answers.values():
                answer.finish(gone=self.gone)
        if isinstance(event, (StreamReset, StopSendingReceived)) and event.stream_id in self.answers:
            self.answers[event.stream_id].finish(reset=event.error_code)
        for item in self.http.handle_event(event):
            answer = self.answers.get(getattr(item, "stream_id", None))
            if answer is None:
                continue
            if isinstance(item, HeadersReceived):
                fields = [[name.decode(), value.decode()] for name, value in item.headers]
                status = dict(map(tuple, fields)).get(":status")
                if status is not None:
                    answer.result["status"] = int(status)
                    answer.result["headers"] = fields
                else:
                    answer.result["trailers"] = fields
            if isinstance(item, DataReceived) and item.data:
                answer.result["body"] += item.data
                answer.result["times"].append(round(time.monotonic() - answer.begun, 3))
            if isinstance(item, (HeadersReceived, DataReceived)) and item.stream_ended:
                answer.finish()

    def start(self, request, authority):
        stream = self._quic.get_next_available_stream_id()
        body = request.get("body", "").encode()
        chunks = request.get("chunks")
        fields = request.get("fields")
        if fields is None:
            fields = [[":method", request.get("method", "GET")], [":scheme", "https"]]
            fields += [[":authority", authority], [":path", request["path"]], *request.get("headers", [])]
            # As browsers do: to Caddy 2.6 a body without a length is none.
            if body and not request.get("open") and "content-length" not in dict(map(tuple, fields)):
                fields.append(["content-length", str(len(body))])
        if request.get("method") == "HEAD":
            self.http.heads.add(stream)
        answer = self.answers[stream] = Answer(request.get("binary", False))
        self.order.append(stream)
        bare = not body and chunks is None and not request.get("open")
        self.http.send_headers(stream, [(name.encode(), value.encode()) for name, value in fields], end_stream=bare)
        if body:
            self.http.send_data(stream, body, chunks is None and not request.get("open"))
        self.transmit()
        if chunks is not None:
            asyncio.ensure_future(self.send(stream, chunks))
        return answer

    async def send(self, stream, chunks):
        for number, (seconds, text) in enumerate(chunks):
            await asyncio.sleep(seconds)
            self.http.send_data(stream, text.encode(), number + 1 == len(chunks))
            self.transmit()

    def cancel(self, number):
        stream = self.order[number]
        self._quic.stop_stream(stream, 0x10C)
        try:
            self._quic.reset_stream(stream, 0x10C)
        except AssertionError:
            pass
        self.transmit()


async def finished(answer):
    try:
        await asyncio.wait_for(asyncio.shield(answer.done), TIMEOUT)
    except asyncio.TimeoutError:
        answer.result["timeout"] = True
    return answer.shown()


async def steps(client, script, authority):
    results = []
    for step in script:
        if "ask" in step:
            results.append(await finished(client.start(step["ask"], authority)))
        elif "start" in step:
            client.start(step["start"], authority)
        elif "all" in step:
            answers = [client.start(request, authority) for request in step["all"]]
            results.append([await finished(answer) for answer in answers])
        elif "cancel" in step:
            client.cancel(step["cancel"])
        elif "sleep" in step:
            await asyncio.sleep(step["sleep"])
        elif "finish" in step:
            results.append(await finished(client.answers[client.order[step["finish"]]]))
    return results


async def main(script):
    host, port = script.get("host", "127.0.0.1"), script["port"]
    authority = script.get("authority", "localhost")
    ticket = [None]
    done = []
    for connection in script["connections"]:
        config = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE)
        config.server_name = authority.split(":")[0]
        config.max_datagram_size = connection.get("mtu", 1280)
        # With its own limit of 1 MiB the package was seen to send some bytes more than that after a burst of losses.
        config.max_data = 64 << 20
        config.session_ticket = ticket[0]
        early = connection.get("early", False)
        if early and ticket[0] is not None:
            # As if the server had allowed early data: what a client does that tries it all the same.
            ticket[0].max_early_data_size = 0xFFFFFFFF
        Client.loss = connection.get("loss", 0.0)

        def keep(given):
            ticket[0] = given

        arguments = {"configuration": config, "create_protocol": Client, "session_ticket_handler": keep}
        try:
            async with connect(host, port, wait_connected=not early, **arguments) as client:
                results = await steps(client, connection["steps"], authority)
                done.append({"results": results, "early": client.accepted, "gone": client.gone})
        except ConnectionError as error:
            done.append({"results": [], "early": False, "gone": [-1, str(error)]})
    print(json.dumps(done))


asyncio.run(main(json.load(sys.stdin)))
