"""gRPC's negative HTTP/2 cases: a server that behaves oddly within the rules, on Debian's python3-h2.

The argument is the name of the case. Prints the port, then serves until its standard input ends, then prints what it
found wrong with the client, a line for each fault.
https://github.com/grpc/grpc/blob/master/doc/negative-http2-interop-test-descriptions.md
"""

import socket
import sys
import threading

import h2.config
import h2.connection
import h2.events
import h2.settings
from hyperframe.frame import GoAwayFrame

RESPONSE_BYTES = 314159
SMALL_BYTES = 5
PADDING_BYTES = 255

case = sys.argv[1]
faults = []
requests_by_connection = {}


def varint(number):
    encoded = b""
    while number > 127:
        encoded += bytes([number & 127 | 128])
        number >>= 7
    return encoded + bytes([number])


def reply_message():
    """A SimpleResponse whose payload has RESPONSE_BYTES bytes, with the prefix of gRPC."""
    payload = b"\x12" + varint(RESPONSE_BYTES) + bytes(RESPONSE_BYTES)
    message = b"\x0a" + varint(len(payload)) + payload
    return b"\x00" + len(message).to_bytes(4, "big") + message


class Connection:
    def __init__(self, client, number):
        self.client = client
        self.number = number
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config=config)
        # Bytes of replies that wait for windows, by stream.
        self.pending = {}
        self.open = set()
        self.pings = 0

    def run(self):
        self.h2.initiate_connection()
        if case == "max_streams":
            self.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        self.flush()
        while True:
            data = self.client.recv(65536)
            if not data:
                break
            for event in self.h2.receive_data(data):
                self.handle(event)
            self.flush()
        if case == "ping" and self.pings != 0:
            faults.append(f"{self.pings} pings have no answer")

    def handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.open.add(event.stream_id)
            requests_by_connection[self.number] = requests_by_connection.get(self.number, 0) + 1
            # The setting binds the client from its acknowledgement on.
            if case == "max_streams" and len(self.open) > 1 and event.stream_id > 1:
                faults.append(f"{len(self.open)} streams are open at the same time")
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.respond(event.stream_id)
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for stream_id in list(self.pending):
                self.send(stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.open.discard(event.stream_id)
            self.pending.pop(event.stream_id, None)
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings -= 1

    def ping(self):
        if case == "ping":
            self.h2.ping(b"12345678")
            self.pings += 1

    def respond(self, stream_id):
        if case == "goaway":
            # By hand: the library sends nothing behind a GOAWAY.
            self.flush()
            self.client.sendall(GoAwayFrame(0, last_stream_id=stream_id, error_code=0).serialize())
        self.ping()
        self.h2.send_headers(stream_id, [(":status", "200"), ("content-type", "application/grpc")])
        self.ping()
        if case == "rst_after_header":
            self.reset(stream_id)
            return
        self.pending[stream_id] = memoryview(reply_message())
        self.ping()
        self.send(stream_id)

    def send(self, stream_id):
        padded = case == "data_frame_padding"
        small = padded or case == "no_df_padding_sanity_test"
        while stream_id in self.pending:
            rest = self.pending[stream_id]
            window = self.h2.local_flow_control_window(stream_id)
            overhead = PADDING_BYTES + 1 if padded else 0
            most = min(self.h2.max_outbound_frame_size, window) - overhead
            size = min(len(rest), most, SMALL_BYTES if small else most)
            if size <= 0:
                return
            self.h2.send_data(
                stream_id, rest[:size].tobytes(), pad_length=PADDING_BYTES if padded else None
            )
            self.pending[stream_id] = rest[size:]
            if case == "rst_during_data" and len(rest) < RESPONSE_BYTES // 2:
                self.reset(stream_id)
                return
            if len(rest) == size:
                self.finish(stream_id)

    def finish(self, stream_id):
        del self.pending[stream_id]
        self.ping()
        if case == "rst_after_data":
            self.reset(stream_id)
            return
        self.h2.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)
        self.open.discard(stream_id)

    def reset(self, stream_id):
        self.h2.reset_stream(stream_id, error_code=0)
        self.open.discard(stream_id)
        self.pending.pop(stream_id, None)

    def flush(self):
        self.client.sendall(self.h2.data_to_send())


def serve(client, number):
    try:
        Connection(client, number).run()
    except ConnectionError:
        pass  # The client has gone.
    except Exception as error:
        faults.append(f"{type(error).__name__}: {error}")
    finally:
        client.close()


def accept(listener):
    number = 0
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number += 1
        thread = threading.Thread(target=serve, args=(client, number), daemon=True)
        threads.append(thread)
        thread.start()


threads = []
listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=accept, args=(listener,), daemon=True).start()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
for thread in threads:
    thread.join(2)
if case == "goaway" and max(requests_by_connection.values(), default=0) > 1:
    faults.append("a connection had a further request behind its GOAWAY")
for fault in faults:
    print(fault)
