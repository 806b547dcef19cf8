"""A sender, a reader and a caller over RabbitMQ by aio-pika, with CloudEvents by the SDK of their authors."""

import asyncio
import json
import sys
from datetime import datetime, timezone

import aio_pika
from cloudevents.core.bindings import amqp, rabbitmq
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent


def written(value):
    """A value of a header or an attribute as JSON."""
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    return value.hex() if isinstance(value, bytes) else value


async def read(channel, exchange, pattern, count):
    """Reads so many messages of an exchange, and prints each one."""
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(exchange, pattern)
    print("ready", flush=True)
    async with queue.iterator() as messages:
        async for message in messages:
            async with message.process():
                print_message(message)
            count -= 1
            if count == 0:
                return


async def drain(channel, name, count):
    """Reads so many messages of a queue, and acknowledges them."""
    queue = await channel.get_queue(name)
    for _ in range(count):
        message = await queue.get(timeout=10)
        await message.ack()
        print_message(message)


def print_message(message):
    properties = {"content-type": message.content_type}
    event = amqp.from_amqp(amqp.AMQPMessage(properties, dict(message.headers), message.body), JSONFormat())
    line = {
        "attributes": {name: written(value) for name, value in event.get_attributes().items()},
        "id": message.message_id,
        "type": message.type,
        "timestamp": written(message.timestamp),
        "mode": int(message.delivery_mode),
        "body": message.body.hex(),
    }
    print(json.dumps(line), flush=True)


async def send(channel, exchange, key):
    """Sends an event in each form that there is."""
    attributes = {
        "id": "sdk",
        "source": "/python",
        "type": "shop.v1.Placed",
        "time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        "datacontenttype": "application/json",
        "partitionkey": "k 1",
        "count": 7,
        "flag": True,
    }
    event = CloudEvent(attributes, {"orderId": "7"})
    target = await channel.get_exchange(exchange)

    async def publish(headers, content_type, body):
        message = aio_pika.Message(body, headers=headers, content_type=content_type, delivery_mode=2)
        await target.publish(message, key, mandatory=True)

    binary = rabbitmq.to_binary(event, JSONFormat())
    await publish(binary.headers, binary.content_type, binary.body)
    structured = amqp.to_structured(event, JSONFormat())
    await publish({}, structured.properties["content-type"], structured.application_data)
    native = dict(amqp.to_binary(event, JSONFormat()).application_properties)
    native["cloudEvents_time"] = attributes["time"]
    await publish(native, "application/json", binary.body)
    colons = {name.replace("cloudEvents_", "cloudEvents:"): value for name, value in native.items()}
    await publish(colons, "application/json", binary.body)


async def call(channel, exchange, key):
    """Calls, with a queue of its own for the reply, and prints that."""
    replies = await channel.declare_queue(exclusive=True)
    message = aio_pika.Message(b"ping", reply_to=replies.name, correlation_id="c 1")
    await (await channel.get_exchange(exchange)).publish(message, key, mandatory=True)
    async with replies.iterator(timeout=10) as messages:
        async for reply in messages:
            print(json.dumps([reply.body.decode(), reply.correlation_id]), flush=True)
            return


async def main(url, what, *words):
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        if what == "read":
            await read(channel, words[0], words[1], int(words[2]))
        elif what == "drain":
            await drain(channel, words[0], int(words[1]))
        elif what == "send":
            await send(channel, *words)
        else:
            await call(channel, *words)


asyncio.run(main(*sys.argv[1:]))
