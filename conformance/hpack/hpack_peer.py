"""Reads header lists and blocks, a JSON object a line, and writes what Python's hpack makes of them, a line each.

A line with "connection" begins a new connection. "block" is decoded; "fields" are encoded, after the table was given
the size "tableBytes" if there is one.
"""

import json
import sys

from hpack import Decoder, Encoder, HeaderTuple, NeverIndexedHeaderTuple

encoder = Encoder()
decoder = Decoder(max_header_list_size=1 << 24)


def field(name, value, sensitive):
    kind = NeverIndexedHeaderTuple if sensitive else HeaderTuple
    return kind(name.encode("latin1"), value.encode("latin1"))


for line in sys.stdin:
    task = json.loads(line)
    if "connection" in task:
        encoder = Encoder()
        decoder = Decoder(max_header_list_size=1 << 24)
    if "tableBytes" in task:
        encoder.header_table_size = task["tableBytes"]
    if "block" in task:
        fields = decoder.decode(bytes.fromhex(task["block"]), raw=True)
        print(json.dumps([[name.decode("latin1"), value.decode("latin1")] for name, value in fields]))
    elif "fields" in task:
        block = encoder.encode([field(*one) for one in task["fields"]], huffman=task["huffman"])
        print(json.dumps(block.hex()))
