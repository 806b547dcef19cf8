import { pathToFileURL } from "node:url";
import {
  create,
  createRegistry,
  type DescFile,
  type DescMessage,
  type DescService,
  fromBinary,
  type Message,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import type { GenEnum, GenMessage } from "@bufbuild/protobuf/codegenv2";

/** The only argument of a testee is the folder with the generated contracts. */
const generated = process.argv[2] ?? "";
const load = async (path: string) =>
  (await import(pathToFileURL(`${generated}/${path}_pb.ts`).href)) as Record<string, unknown>; // Generated at run time.

const contract = await load("conformance/conformance");
const RequestSchema = contract["ConformanceRequestSchema"] as GenMessage<ConformanceRequest>;
const ResponseSchema = contract["ConformanceResponseSchema"] as DescMessage;
const FailureSetSchema = contract["FailureSetSchema"] as DescMessage;

export const WireFormat = contract["WireFormat"] as Record<"PROTOBUF" | "JSON", GenEnum<number> & number>;
export const TestCategory = contract["TestCategory"] as Record<"JSON_IGNORE_UNKNOWN_PARSING_TEST", number>;

/** The members of `conformance.ConformanceRequest` that are used here. */
export type ConformanceRequest = Message<"conformance.ConformanceRequest"> & {
  payload:
    | { case: "protobufPayload"; value: Uint8Array }
    | { case: "jsonPayload"; value: string }
    | { case: "jspbPayload" | "textPayload" | undefined };
  requestedOutputFormat: number;
  messageType: string;
  testCategory: number;
};

/** A member of `conformance.ConformanceResponse`. */
export type Outcome =
  | { case: "parseError" | "serializeError" | "runtimeError" | "skipped" | "jsonPayload"; value: string }
  | { case: "protobufPayload"; value: Uint8Array };

const testee = await load("tsms/conformance/v1/testee");

/** A service with a method for every message type of the suite, which returns its request. */
export const TesteeService = testee["TesteeService"] as DescService;

/** The types that `google.protobuf.Any` may contain, and the extensions. */
export const registry: Registry = createRegistry(
  testee["file_tsms_conformance_v1_testee"] as DescFile,
  ...dependencies(TesteeService.file),
);

/** Answers the runner's requests on stdin until the runner closes it. */
export async function serve(outcomeOf: (request: ConformanceRequest) => Promise<Outcome>): Promise<void> {
  process.stdin.on("end", () => process.exit(0));
  let buffered = Buffer.alloc(0);
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    buffered = Buffer.concat([buffered, chunk]);
    while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUInt32LE(0)) {
      const end = 4 + buffered.readUInt32LE(0);
      const request = fromBinary(RequestSchema, buffered.subarray(4, end));
      const reply =
        request.messageType === "conformance.FailureSet"
          ? respond({ case: "protobufPayload", value: toBinary(FailureSetSchema, create(FailureSetSchema)) })
          : respond(await outcomeOf(request));
      buffered = buffered.subarray(end);
      const head = Buffer.alloc(4);
      head.writeUInt32LE(reply.length);
      process.stdout.write(Buffer.concat([head, reply]));
    }
  }
}

function respond(result: Outcome): Uint8Array {
  return toBinary(ResponseSchema, create(ResponseSchema, { result }));
}

function dependencies(file: DescFile): DescFile[] {
  return file.dependencies.flatMap((dependency) => [dependency, ...dependencies(dependency)]);
}
