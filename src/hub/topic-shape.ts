import {
  type DescField,
  type DescMessage,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  getOption,
  hasOption,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { event_id as eventIdOption } from "../../gen/ts_ms/v1/options_pb.ts";
import { PresenceEventSchema, ResetSchema } from "../../gen/ts_ms/hub/v1/events_pb.ts";
import {
  conflation_key as conflationKeyOption,
  event_headers as eventHeadersOption,
  topic as topicOption,
} from "../../gen/ts_ms/v1/topic_pb.ts";
import { fieldsOf } from "../core/codec/field-shape.ts";
import { rpcName } from "../core/call/service.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { checkRoom } from "./room/room-key.ts";
import { statedSettings, type TopicSettingsInit } from "./topic-settings.ts";

/** What the contract says of a topic. */
export interface TopicShape {
  readonly name: string;
  /** The type of its messages. */
  readonly schema: DescMessage;
  /** Whether its rooms have names. */
  readonly isNamed: boolean;
  /** The field that gets the id of a publication; undefined for none. */
  readonly idField: DescField | undefined;
  /** The field that gets the headers of a publication; undefined for none. */
  readonly headersField: DescField | undefined;
  /** The field that is the key of a publication; undefined for none. */
  readonly keyField: DescField | undefined;
  /** The field that says that publications are missing; undefined for none. */
  readonly resetField: DescField | undefined;
  /** The field that says who is in a room; undefined for none. */
  readonly presenceField: DescField | undefined;
  /** What the contract says of it otherwise. */
  readonly stated: TopicSettingsInit;
}

/** The rooms that a request asks for, each once. @throws ConnectError INVALID_ARGUMENT naming the field of the request */
export type RoomsOf = (request: Message) => readonly string[];

const nameForm = /^[A-Za-z0-9_.:-]{1,128}$/;
const placeholder = /\{([^{}]*)\}/g;

/** An rpc that can be a topic. */
export type TopicMethod = DescMethodServerStreaming | DescMethodBiDiStreaming;

/** What an rpc says of its topic. @throws SetupError naming rpc and field */
export function shapeOfRpc(method: TopicMethod): TopicShape & { readonly roomsOf: RoomsOf } {
  const rpc = rpcName(method);
  const stated = hasOption(method, topicOption) ? getOption(method, topicOption) : undefined;
  const { name = "", room = "" } = stated ?? {};
  const shape = shapeOf(name === "" ? rpc.replace("/", ".") : name, method.output, rpc);
  return {
    ...shape,
    isNamed: room !== "",
    stated: statedSettings(rpc, stated),
    roomsOf: compileRooms(room, method),
  };
}

/** @throws SetupError where ids of messages cannot be positions */
export function checkPositions({ schema, idField }: TopicShape): void {
  const field = schema.fields.find(
    (candidate) => hasOption(candidate, eventIdOption) && getOption(candidate, eventIdOption),
  );
  if (field === undefined || idField !== undefined) return;
  throw new SetupError(
    `${schema.typeName}: the field "${field.name}" is (ts_ms.v1.event_id) and has to be a text, as its topic has history`,
  );
}

/** The topic of a type of messages without an rpc. @throws SetupError naming the topic and what is wrong */
export function shapeOfType(name: string, schema: DescMessage): TopicShape {
  return { ...shapeOf(name, schema, name), isNamed: true, stated: {} };
}

function shapeOf(name: string, schema: DescMessage, owner: string) {
  if (!nameForm.test(name)) {
    throw new SetupError(
      `${owner}: ${JSON.stringify(name)} is no name of a topic: letters, digits and _.:- are, at most 128`,
    );
  }
  const idField = only(
    schema,
    "(ts_ms.v1.event_id)",
    (field) => hasOption(field, eventIdOption) && getOption(field, eventIdOption),
  );
  const headersField = only(
    schema,
    "(ts_ms.v1.event_headers)",
    (field) => hasOption(field, eventHeadersOption) && getOption(field, eventHeadersOption),
  );
  if (headersField !== undefined && !isTextMap(headersField)) {
    throw new SetupError(
      `${schema.typeName}: the field "${headersField.name}" is (ts_ms.v1.event_headers) and has to be a map of texts to texts`,
    );
  }
  const keyField = only(
    schema,
    "(ts_ms.v1.conflation_key)",
    (field) => hasOption(field, conflationKeyOption) && getOption(field, conflationKeyOption),
  );
  if (keyField !== undefined && !(keyField.fieldKind === "scalar" && isRoomPart(keyField))) {
    throw new SetupError(
      `${schema.typeName}: the field "${keyField.name}" is (ts_ms.v1.conflation_key) and has to be a text or an integer`,
    );
  }
  const resetField = onlyOf(schema, ResetSchema);
  const presenceField = onlyOf(schema, PresenceEventSchema);
  // Other types have ids of their service's own.
  const isText = idField?.fieldKind === "scalar" && idField.scalar === ScalarType.STRING;
  return {
    name,
    schema,
    idField: isText ? idField : undefined,
    headersField,
    keyField,
    resetField,
    presenceField,
  };
}

/** The only field of a type. @throws SetupError naming both where there are two */
function onlyOf(schema: DescMessage, { typeName }: DescMessage): DescField | undefined {
  return only(schema, typeName, ({ message }) => message?.typeName === typeName);
}

/** The only field with an option; undefined for none. @throws SetupError naming both where there are two */
function only(
  schema: DescMessage,
  option: string,
  has: (field: DescField) => boolean,
): DescField | undefined {
  const [field, second] = schema.fields.filter(has);
  if (field === undefined || second === undefined) return field;
  throw new SetupError(
    `${schema.typeName}: only one field can be ${option}, not both "${field.name}" and "${second.name}"`,
  );
}

function isTextMap(field: DescField): boolean {
  return (
    field.fieldKind === "map" &&
    field.mapKey === ScalarType.STRING &&
    field.mapKind === "scalar" &&
    field.scalar === ScalarType.STRING
  );
}

function compileRooms(template: string, method: TopicMethod): RoomsOf {
  if (template === "") return () => [""];
  const rpc = rpcName(method);
  const wrong = (why: string): SetupError =>
    new SetupError(`${rpc}: the room ${JSON.stringify(template)} of (ts_ms.v1.topic) ${why}`);
  const literals = template.split(placeholder).filter((_, place) => place % 2 === 0);
  const names = [...template.matchAll(placeholder)].map(([, name = ""]) => name);
  if (literals.some((text) => /[{}]/.test(text))) throw wrong("has a brace without its other");
  if (names.length === 0) throw wrong("has no field in braces");
  const fields = names.map((name) => {
    const field = method.input.fields.find((candidate) => candidate.name === name);
    if (field === undefined)
      throw wrong(`names ${JSON.stringify(name)}, which ${method.input.typeName} does not have`);
    if (!isRoomPart(field))
      throw wrong(`names ${JSON.stringify(name)}, which is neither a text nor an integer`);
    return field;
  });
  const [first] = fields;
  if (first?.fieldKind === "list" && fields.length === 1) return listOf(first, literals);
  if (fields.some(({ fieldKind }) => fieldKind === "list"))
    throw wrong("has a repeated field, which stands alone");
  return (request) => {
    const values = fields.map((field) => partOf(fieldsOf(request)[field.localName], field.name));
    return [literals.map((text, place) => text + (values[place] ?? "")).join("")];
  };
}

/** Each value of a repeated field is a room. */
function listOf(field: DescField, [before = "", after = ""]: readonly string[]): RoomsOf {
  return (request) => {
    const values = fieldsOf(request)[field.localName] as readonly unknown[]; // As its kind says.
    const rooms = values.map((value, place) => before + partOf(value, `${field.name}[${place}]`) + after);
    return [...new Set(rooms)];
  };
}

function partOf(value: unknown, path: string): string {
  const text = String(value);
  checkRoom(text, path, true);
  return text;
}

function isRoomPart(field: DescField): boolean {
  const scalar =
    field.fieldKind === "scalar" || (field.fieldKind === "list" && field.listKind === "scalar")
      ? field.scalar
      : undefined;
  return scalar !== undefined && !notParts.has(scalar);
}

const notParts: ReadonlySet<ScalarType> = new Set([
  ScalarType.BOOL,
  ScalarType.BYTES,
  ScalarType.DOUBLE,
  ScalarType.FLOAT,
]);
