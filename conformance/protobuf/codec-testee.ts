import type { DescMessage } from "@bufbuild/protobuf";
import { binaryToJson } from "../../src/core/codec/binary-to-json.ts";
import { jsonReader } from "../../src/core/codec/json-to-message.ts";
import { jsonToBinary } from "../../src/core/codec/json-to-binary.ts";
import { messageDecoder } from "../../src/core/codec/binary-to-message.ts";
import { binaryWriter } from "../../src/core/codec/message-to-binary.ts";
import { jsonWriter } from "../../src/core/codec/message-to-json.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import {
  type ConformanceRequest,
  type Outcome,
  registry,
  serve,
  TestCategory,
  TesteeService,
  WireFormat,
} from "./testee-protocol.ts";

/**
 * Testee of the protobuf conformance runner for the codecs alone, without a gateway: converts JSON to protobuf bytes
 * and back without messages, and JSON to JSON and bytes to bytes by way of a message.
 */
const types = new Map(TesteeService.methods.map((method) => [method.input.typeName, method.input]));

await serve(async (request) => outcomeOf(request));

function outcomeOf({
  payload,
  requestedOutputFormat,
  messageType,
  testCategory,
}: ConformanceRequest): Outcome {
  const schema = types.get(messageType);
  if (schema === undefined) return { case: "skipped", value: `${messageType} is not known here` };
  if (payload.case !== "jsonPayload" && payload.case !== "protobufPayload") {
    return { case: "skipped", value: "the codecs take JSON and binary" };
  }
  if (requestedOutputFormat !== WireFormat.JSON && requestedOutputFormat !== WireFormat.PROTOBUF) {
    return { case: "skipped", value: "the codecs give JSON and binary" };
  }
  const lenient = testCategory === TestCategory.JSON_IGNORE_UNKNOWN_PARSING_TEST;
  try {
    const toJson = requestedOutputFormat === WireFormat.JSON;
    const output =
      payload.case === "jsonPayload"
        ? fromJson(schema, Buffer.from(payload.value), lenient, toJson)
        : fromBytes(schema, payload.value, toJson);
    return toJson
      ? { case: "jsonPayload", value: output.toString() }
      : { case: "protobufPayload", value: output };
  } catch (error) {
    // Errors of the writer are INTERNAL, those of readers have other codes.
    const writing = error instanceof ConnectError && error.code === Code.Internal;
    return { case: writing ? "serializeError" : "parseError", value: String(error) };
  }
}

function fromJson(schema: DescMessage, json: Buffer, lenient: boolean, toJson: boolean): Uint8Array {
  const unknownFields = lenient ? "ignore" : "reject";
  const options = { registry, unknownFields, unknownEnums: "ignore" } as const;
  if (!toJson) return jsonToBinary(schema, options).convert(json);
  return jsonWriter(schema, { registry, defaults: "omit" }).writeBytes(
    jsonReader(schema, options).readBytes(json),
  );
}

function fromBytes(schema: DescMessage, bytes: Uint8Array, toJson: boolean): Uint8Array {
  return toJson
    ? binaryToJson(schema, { registry, defaults: "omit" }).convert(bytes)
    : binaryWriter(schema)(messageDecoder(schema)(bytes));
}
