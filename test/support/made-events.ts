import { create, type FileRegistry, setExtension } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  MessageOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { event, EventSchema } from "../../gen/ts_ms/v1/messaging_pb.ts";
import { linkFiles } from "../../src/core/schema/file-set.ts";

/** The name of one of the messages of `madeEvents`, which is its CloudEvents type. */
export function madeEventType(number: number): string {
  return `made.events.v1.E${number}`;
}

/** A contract with so many events of one topic: `made.events.v1.E0`, … */
export function madeEvents(topic: string, count: number): FileRegistry {
  const file = create(FileDescriptorProtoSchema, {
    name: "made/events/v1/events.proto",
    package: "made.events.v1",
    syntax: "proto3",
    dependency: ["ts_ms/v1/messaging.proto"],
    messageType: Array.from({ length: count }, (_, number) => {
      const options = create(MessageOptionsSchema);
      setExtension(options, event, create(EventSchema, { topic }));
      return {
        name: `E${number}`,
        field: [
          { name: "order_id", number: 1, type: Type.STRING, label: Label.OPTIONAL },
          { name: "total_cents", number: 2, type: Type.INT64, label: Label.OPTIONAL },
        ],
        options,
      };
    }),
  });
  return linkFiles([file], "made events");
}
