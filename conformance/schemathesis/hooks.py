"""Streams of messages, one JSON text a line, which the tool does not know by itself; documents show them as arrays."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def write_lines(ctx, value):
    """The items of an array. An array is taken as a stream too: as an item it becomes a text, which is no message."""
    if isinstance(value, bytes):
        return value
    items = value if isinstance(value, list) else [[value]]
    lines = [json.dumps(item) if not isinstance(item, list) else json.dumps(str(item)) for item in items]
    return "".join(line + "\n" for line in lines).encode()


@schemathesis.deserializer("application/x-ndjson")
def read_lines(ctx, response):
    return [json.loads(line) for line in response.content.splitlines() if line]
