import { create, type DescService, setExtension } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { http } from "../../gen/google/api/annotations_pb.ts";
import { HttpRuleSchema } from "../../gen/google/api/http_pb.ts";
import { linkFiles } from "../../src/core/schema/file-set.ts";

/** A service with many rpcs, whose messages contain one another as a tree. */
export function largeContract(rpcs: number, types: number): DescService {
  const message = (index: number): object => ({
    name: `Type${index}`,
    field: [
      { name: "name", number: 1, type: Type.STRING, label: Label.OPTIONAL },
      { name: "count", number: 2, type: Type.INT64, label: Label.OPTIONAL },
      ...[1, 2]
        .filter((step) => index * 2 + step < types)
        .map((step) => ({
          name: `child${step}`,
          number: 2 + step,
          type: Type.MESSAGE,
          label: step === 1 ? Label.OPTIONAL : Label.REPEATED,
          typeName: `.large.v1.Type${index * 2 + step}`,
        })),
    ],
  });
  const method = (index: number): object => {
    const options = create(MethodOptionsSchema);
    const pattern = { case: "post", value: `/v1/large${index}/{name}` } as const;
    setExtension(options, http, create(HttpRuleSchema, { pattern, body: "*" }));
    const [inputType, outputType] = [index, index + rpcs].map((at) => `.large.v1.Type${at % types}`);
    return { name: `Call${index}`, inputType, outputType, options };
  };
  const file = create(FileDescriptorProtoSchema, {
    name: "large/v1/large.proto",
    package: "large.v1",
    syntax: "proto3",
    dependency: ["google/api/annotations.proto"],
    messageType: Array.from({ length: types }, (_, index) => message(index)),
    service: [{ name: "Large", method: Array.from({ length: rpcs }, (_, index) => method(index)) }],
  });
  const service = linkFiles([file], "large").getService("large.v1.Large");
  if (service === undefined) throw new Error("no service");
  return service;
}
