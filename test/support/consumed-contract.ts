import {
  create,
  type DescMessage,
  type DescService,
  type FileRegistry,
  type MessageInitShape,
  setExtension,
} from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  MessageOptionsSchema,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { consume, ConsumeSchema, event, EventSchema } from "../../gen/ts_ms/v1/messaging_pb.ts";
import { linkFiles } from "../../src/core/schema/file-set.ts";

/** A contract with one service, `NAME.v1.Reader`, that reads the event `NAME.v1.Noted` of the topic `NAME`. */
export interface ConsumedContract {
  readonly registry: FileRegistry;
  readonly service: DescService;
  /** Its fields are `id`, by which events are ordered, and `text`. */
  readonly noted: DescMessage;
}

/** Makes a contract anew, as it is when a server is asked for it. @param options of its rpc, `OnNoted` */
export function consumedContract(
  name: string,
  options: MessageInitShape<typeof ConsumeSchema> = {},
): ConsumedContract {
  const packageName = `${name}.v1`;
  const ofMethod = create(MethodOptionsSchema);
  setExtension(ofMethod, consume, create(ConsumeSchema, options));
  const ofMessage = create(MessageOptionsSchema);
  setExtension(ofMessage, event, create(EventSchema, { topic: name, key: "id" }));
  const file = create(FileDescriptorProtoSchema, {
    name: `${name}/v1/reader.proto`,
    package: packageName,
    syntax: "proto3",
    dependency: ["google/protobuf/empty.proto"],
    messageType: [
      {
        name: "Noted",
        options: ofMessage,
        field: ["id", "text"].map((field, at) => ({
          ...{ name: field, number: at + 1, type: Type.STRING, label: Label.OPTIONAL },
        })),
      },
    ],
    service: [
      {
        name: "Reader",
        method: [
          {
            name: "OnNoted",
            inputType: `.${packageName}.Noted`,
            outputType: ".google.protobuf.Empty",
            options: ofMethod,
          },
        ],
      },
    ],
  });
  const registry = linkFiles([file], packageName);
  const service = registry.getService(`${packageName}.Reader`);
  const noted = registry.getMessage(`${packageName}.Noted`);
  if (service === undefined || noted === undefined) throw new Error(`no service in ${packageName}`);
  return { registry, service, noted };
}
