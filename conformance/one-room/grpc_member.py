"""A member of a room by Python's grpc, with the contract of a descriptor set: prints the position of each line.

Arguments: address, descriptor set, room, and the position behind which it begins, or nothing.
"""

import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

address, contract, room, *after = sys.argv[1:]

files = descriptor_pb2.FileDescriptorSet()
with open(contract, "rb") as file:
    files.ParseFromString(file.read())
waiting = {file.name: file for file in files.file}
pool = descriptor_pool.DescriptorPool()


def add(name):
    file = waiting.pop(name, None)
    if file is None:
        return
    for dependency in file.dependency:
        add(dependency)
    pool.Add(file)


add("chat/v1/chat.proto")


def message(name):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


Request = message("chat.v1.WatchRoomRequest")
Event = message("chat.v1.RoomEvent")

with grpc.insecure_channel(address) as channel:
    watch = channel.unary_stream(
        "/chat.v1.ChatService/WatchRoom",
        request_serializer=Request.SerializeToString,
        response_deserializer=Event.FromString,
    )
    metadata = [("last-event-id", after[0])] if after else None
    for event in watch(Request(room=room), metadata=metadata):
        if event.WhichOneof("event") == "line" and event.id:
            print(event.id, flush=True)
