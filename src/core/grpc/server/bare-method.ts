import { create, createFileRegistry, type DescMethod } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** The kinds of rpcs by the names that grpc-js gives them. */
export type GrpcJsKind = "unary" | "clientStream" | "serverStream" | "bidi";

const usualPath = /^\/((?:[A-Za-z_]\w*\.)*)([A-Za-z_]\w*)\/([A-Za-z_]\w*)$/;

/**
 * The descriptor of an rpc of which only path and kind are known, for observers and reports. Its messages have no
 * fields: they are bytes to us.
 */
export function bareMethod(path: string, kind: GrpcJsKind): DescMethod {
  const [, qualifier = "", service = "Unnamed", method = "Unnamed"] = usualPath.exec(path) ?? [];
  const name = qualifier.slice(0, -1);
  const type = `.${qualifier}${service}${method}Bytes`;
  const file = create(FileDescriptorProtoSchema, {
    name: `${qualifier}${service}.proto`,
    package: name,
    syntax: "proto3",
    messageType: [{ name: `${service}${method}Bytes` }],
    service: [
      {
        name: service,
        method: [
          {
            name: method,
            inputType: type,
            outputType: type,
            clientStreaming: kind === "clientStream" || kind === "bidi",
            serverStreaming: kind === "serverStream" || kind === "bidi",
          },
        ],
      },
    ],
  });
  const found = createFileRegistry(file, () => undefined).getService(`${qualifier}${service}`)?.methods[0];
  if (found === undefined) throw new Error(`no rpc can have the path ${path}`);
  return found;
}
