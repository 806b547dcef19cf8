import type { CallContext } from "../../call/context.ts";
import { encodeStatusDetails, type Code, type ConnectError } from "../../errors/errors.ts";
import { pushbackText } from "../../errors/pushback-text.ts";
import { toStatusMessage } from "../../errors/status-message.ts";
import { requestIdHeader } from "../../metadata/request-id.ts";
import { pushbackHeader } from "../../metadata/retry-headers.ts";
import { addFields, addMetadata } from "../metadata.ts";
import type { FieldList, ReplyFields } from "./call-stream.ts";
import { acceptedEncodings, replyCoding } from "./message-compression.ts";

const nothing: FieldList = Object.freeze([]);
const response = [":status", "200", "content-type", "application/grpc+proto"];
const encodings = ["grpc-accept-encoding", acceptedEncodings, "grpc-encoding"];

/** The head of a reply without messages, which ends it. */
const bare = fixed(response);
/** The head of a reply whose messages are not compressed. */
const plain = fixed([...response, ...encodings, "identity"]);
/** The head of a reply whose messages may be compressed. */
const compressed = fixed([...response, ...encodings, replyCoding.name]);
const ok = fixed(["grpc-status", "0", "grpc-message", ""]);

/** The head of a reply whose messages follow. @param compresses whether they may be compressed */
export function headOf(context: CallContext, compresses: boolean): ReplyFields {
  const fields = compresses ? compressed : plain;
  const { answeredId } = context;
  if (!context.hasResponseHeader)
    return answeredId === undefined ? fields : withRequestId(fields, answeredId);
  const own: string[] = [];
  context.eachResponseHeader((name, value) => addMetadata(own, name, value));
  return answeredId === undefined ? { ...fields, own } : withRequestId({ ...fields, own }, answeredId);
}

/**
 * The trailers of a reply: OK without an error, with the response trailers of `context`. An error adds its own metadata
 * and its details as `grpc-status-details-bin`, and says whether the call may be tried again. An application cannot set reserved names.
 *
 * @throws Error if the details cannot be encoded
 */
export function trailersOf(context: CallContext, error?: ConnectError): ReplyFields {
  const trailers = context.responseTrailerIfAny;
  if (error === undefined) return withOwn(ok, trailers);
  const own = statusFields(error.code, error.rawMessage);
  if (trailers !== undefined) addFields(own, trailers);
  addFields(own, error.metadata);
  const details = encodeStatusDetails(error);
  if (details !== undefined) own.push("grpc-status-details-bin", toBase64(details));
  const pushback = pushbackText(error);
  if (pushback !== undefined) own.push(pushbackHeader, pushback);
  // That of the server which this one has called: the head has the id.
  return { shared: nothing, own: context.answeredId === undefined ? own : withoutRequestId(own) };
}

/** The head that is the whole reply, made of trailers. @param requestId undefined for a reply without one */
export function onlyTrailers({ shared, own }: ReplyFields, requestId?: string): ReplyFields {
  const fields = { ...bare, own: [...shared, ...own] };
  return requestId === undefined ? fields : withRequestId(fields, requestId);
}

/** A head with the id of its request, in place of one that a handler may have set. */
export function withRequestId({ own, ...fields }: ReplyFields, requestId: string): ReplyFields {
  if (own.length === 0) return { ...fields, own: [requestIdHeader, requestId] };
  return { ...fields, own: [...withoutRequestId(own), requestIdHeader, requestId] };
}

function withoutRequestId(fields: FieldList): string[] {
  return fields.filter((_, i) => fields[i - (i % 2)] !== requestIdHeader);
}

/** The head that is the whole reply of a request without a handler. */
export function refusal(code: Code, message: string, fields: FieldList = nothing): ReplyFields {
  return { ...bare, own: [...statusFields(code, message), ...fields] };
}

function statusFields(code: Code, message: string): string[] {
  return ["grpc-status", String(code), "grpc-message", encodeURI(toStatusMessage(message))];
}

function withOwn(fields: ReplyFields, headers: Headers | undefined): ReplyFields {
  return headers === undefined ? fields : { ...fields, own: addFields([], headers) };
}

function fixed(fields: readonly string[]): ReplyFields {
  return Object.freeze({ shared: Object.freeze([...fields]), own: nothing, prepared: true });
}

function toBase64({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64").replace(/=+$/, "");
}
