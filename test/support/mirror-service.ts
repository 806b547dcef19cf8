import { create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_google_protobuf_test_messages_proto3 } from "../../gen/google/protobuf/test_messages_proto3_pb.ts";

/** A service that gives back messages that have every kind of field: one by `Reflect`, a stream by `Pipe`. */
export function mirrorService(): DescService {
  const type = ".protobuf_test_messages.proto3.TestAllTypesProto3";
  const file = create(FileDescriptorProtoSchema, {
    name: "mirror.proto",
    package: "mirror",
    syntax: "proto3",
    dependency: ["google/protobuf/test_messages_proto3.proto"],
    service: [
      {
        name: "Mirror",
        method: [
          { name: "Reflect", inputType: type, outputType: type },
          { name: "Pipe", inputType: type, outputType: type, clientStreaming: true, serverStreaming: true },
        ],
      },
    ],
  });
  const registry = createFileRegistry(file, () => file_google_protobuf_test_messages_proto3);
  const service = registry.getService("mirror.Mirror");
  if (service === undefined) throw new Error("the registry has what was put in");
  return service;
}
