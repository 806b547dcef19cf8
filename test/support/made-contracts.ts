import { create, type DescService, type FileRegistry, setExtension } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { http } from "../../gen/google/api/annotations_pb.ts";
import { HttpRuleSchema } from "../../gen/google/api/http_pb.ts";
import { linkFiles } from "../../src/core/schema/file-set.ts";

/** A contract with one service, `PACKAGE.Made`, whose rpcs are `Get0`, `Get1`, …, each at `GET /PACKAGE/get0/{name}`. */
export interface MadeContract {
  readonly registry: FileRegistry;
  readonly service: DescService;
}

/** Makes a contract. @param pathPrefix first segment of its routes; default: the package */
export function madeContract(packageName: string, rpcs = 1, pathPrefix = packageName): MadeContract {
  const file = create(FileDescriptorProtoSchema, {
    name: `${packageName}/made.proto`,
    package: packageName,
    syntax: "proto3",
    dependency: ["google/api/annotations.proto"],
    messageType: [
      {
        name: "Note",
        field: [
          { name: "name", number: 1, type: Type.STRING, label: Label.OPTIONAL },
          { name: "text", number: 2, type: Type.STRING, label: Label.OPTIONAL },
        ],
      },
    ],
    service: [
      {
        name: "Made",
        method: Array.from({ length: rpcs }, (_, index) => {
          const options = create(MethodOptionsSchema);
          const path = `/${pathPrefix}/get${index}/{name}`;
          setExtension(options, http, create(HttpRuleSchema, { pattern: { case: "get", value: path } }));
          const type = `.${packageName}.Note`;
          return { name: `Get${index}`, inputType: type, outputType: type, options };
        }),
      },
    ],
  });
  const registry = linkFiles([file], packageName);
  const service = registry.getService(`${packageName}.Made`);
  if (service === undefined) throw new Error(`no service in ${packageName}`);
  return { registry, service };
}
