import { create, type DescField, type DescMessage, type DescMethod, type Message } from "@bufbuild/protobuf";
import { jsonToBinary } from "../../../core/codec/json-to-binary.ts";
import { jsonReader } from "../../../core/codec/json-to-message.ts";
import { requiredCheck } from "../../../core/codec/required-fields.ts";
import { Code, ConnectError, type FieldViolation, invalidArgument } from "../../../core/errors/errors.ts";
import { nearestName } from "../../../core/errors/nearest-name.ts";
import { jsonReadOptions } from "../../binding/bind-options.ts";
import type { FaceRpc } from "../face-call.ts";
import type { Shows } from "../shown-message.ts";
import { HiddenFields } from "./hidden-fields.ts";
import type { RawJson } from "./json-rpc.ts";
import { isObjectMessage, wrapper } from "./wrapped-messages.ts";

/** Reads the arguments of calls of one tool; undefined arguments are none. */
export interface ArgumentReader {
  /**
   * The one request, as protobuf bytes where that can be made without a message.
   *
   * @throws ConnectError INVALID_ARGUMENT with the violations
   */
  one(args: RawJson | undefined): Message | Uint8Array;
  /** As `one`, for an rpc that takes a stream of requests. */
  many(args: RawJson | undefined): readonly (Message | Uint8Array)[];
}

/** Compiles it. Unknown members are refused, whatever the gateway does with them. */
export function argumentReader({ method, binding, takesBytes }: FaceRpc, shows: Shows): ArgumentReader {
  const { input } = method;
  const options = jsonReadOptions({ ...binding, unknownFields: "reject", unknownEnums: "reject" });
  const reader = jsonReader(input, options);
  const check = requiredCheck(input);
  const toBytes = takesBytes && check === undefined ? jsonToBinary(input, options) : undefined;
  const hidden = HiddenFields.of(input, shows);
  const read = (json: Uint8Array): Message | Uint8Array => {
    const bytes = toBytes?.convertDirectly(json);
    if (bytes !== undefined) return bytes;
    const message = reader.readBytes(json);
    check?.(message);
    return message;
  };
  const explained = (json: Uint8Array): Message | Uint8Array => {
    try {
      hidden?.refuse(JSON.parse(Buffer.from(json).toString()));
      return read(json);
    } catch (reason) {
      throw withNearest(reason, input);
    }
  };
  return {
    one(args) {
      if (isObjectMessage(input)) return args === undefined ? emptyOf(method, check) : explained(args.bytes);
      const value = onlyMember(args, wrapper.value);
      return explained(value.bytes);
    },
    many(args) {
      const list = onlyMember(args, wrapper.messages);
      return elementsOf(list).map((element) => explained(element.bytes));
    },
  };
}

function emptyOf({ input }: DescMethod, check: ((message: Message) => void) | undefined): Message {
  const message = create(input);
  check?.(message);
  return message;
}

/** The value of the one member that arguments may have. */
function onlyMember(args: RawJson | undefined, name: string): RawJson {
  const members = args?.members();
  for (const other of members?.keys() ?? []) {
    if (other === name) continue;
    throw invalidArgument(`unknown field ${other}`, [
      { field: other, description: `is unknown: did you mean ${name}?` },
    ]);
  }
  const value = members?.get(name);
  if (value !== undefined) return value;
  throw invalidArgument(`${name}: is missing`, [{ field: name, description: "is missing" }]);
}

/** The elements of a list, each as it came. */
function elementsOf(list: RawJson): readonly RawJson[] {
  const found = list.elements();
  if (found !== undefined) return found;
  throw invalidArgument(`${wrapper.messages}: expected an array`, [
    { field: wrapper.messages, description: "expected an array" },
  ]);
}

const unknownText = "the message has no such field";

/** The same error with the nearest name beside each unknown one. */
function withNearest(reason: unknown, input: DescMessage): unknown {
  if (!(reason instanceof ConnectError) || reason.code !== Code.InvalidArgument) return reason;
  const violations = violationsOf(reason);
  if (!violations.some(({ description }) => description === unknownText)) return reason;
  const better = violations.map(({ field, description }) => {
    const hint = description === unknownText ? hintFor(field, input) : undefined;
    return { field, description: hint === undefined ? description : `${description}: did you mean ${hint}?` };
  });
  return invalidArgument(reason.rawMessage, better);
}

interface BadRequestDetail {
  readonly value?: { readonly fieldViolations?: readonly FieldViolation[] };
}

function violationsOf(error: ConnectError): readonly FieldViolation[] {
  // Violations of our own readers: `invalidArgument` makes them.
  return error.details.flatMap((detail) => (detail as BadRequestDetail).value?.fieldViolations ?? []);
}

/** @param path in proto names: `book.tags[2].nmae` */
function hintFor(path: string, input: DescMessage): string | undefined {
  const steps = path.split(".");
  const last = steps.pop() ?? "";
  let message: DescMessage | undefined = input;
  for (const step of steps) {
    const name = step.replace(/\[.*$/, "");
    const field: DescField | undefined = message?.fields.find((one) => one.name === name);
    message = field?.message;
  }
  return (
    message &&
    nearestName(
      last,
      message.fields.map(({ jsonName }) => jsonName),
    )
  );
}
