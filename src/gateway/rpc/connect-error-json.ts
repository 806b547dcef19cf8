import { createRegistry, fromBinary, toJson, type JsonValue, type Registry } from "@bufbuild/protobuf";
import { endStreamToJson, errorToJson } from "@connectrpc/connect/protocol-connect";
import { file_google_rpc_error_details } from "../../../gen/google/rpc/error_details_pb.ts";
import { ConnectError } from "../../core/errors.ts";

type Detail = ConnectError["details"][number];

/**
 * Writes errors as the Connect protocol has them, `{"code":"not_found","message":…,"details":[…]}`.
 *
 * @see https://connectrpc.com/docs/protocol#error-end-stream
 */
export class ConnectErrorJson {
  readonly #registry: Registry;

  /** @param registry types of details that are shown in `debug` too, beside those of google/rpc/error_details.proto */
  constructor(registry: Registry | undefined) {
    this.#registry =
      registry === undefined
        ? createRegistry(file_google_rpc_error_details)
        : createRegistry(registry, file_google_rpc_error_details);
  }

  /** The body of a unary reply that is an error. Never throws. */
  body(error: ConnectError): Buffer {
    const options = { registry: this.#registry };
    return toBytes(error, (safe) => errorToJson(this.#withDebug(safe), options));
  }

  /** The message that ends a stream. Never throws. */
  endStream(trailer: Headers, error: ConnectError | undefined): Buffer {
    const options = { registry: this.#registry };
    if (error === undefined) return json(endStreamToJson(trailer, undefined, options));
    return toBytes(error, (safe) => endStreamToJson(trailer, this.#withDebug(safe), options));
  }

  /** Details that came over the wire are bytes; where their type is known they are made readable. */
  #withDebug(error: ConnectError): ConnectError {
    if (error.details.every((detail) => "desc" in detail)) return error;
    const copy = withoutMetadata(error);
    copy.details = error.details.map((detail) => ("desc" in detail ? detail : this.#readable(detail)));
    return copy;
  }

  #readable(detail: Exclude<Detail, { desc: unknown }>): Detail {
    try {
      const schema = this.#registry.getMessage(detail.type);
      if (schema === undefined) return detail;
      const debug: JsonValue = toJson(schema, fromBinary(schema, detail.value), { registry: this.#registry });
      return { type: detail.type, value: detail.value, debug };
    } catch {
      return detail; // The bytes are what counts.
    }
  }
}

/** An error with the code, message and details of `error` alone: its metadata goes another way. */
export function withoutMetadata(
  error: ConnectError,
  message: string = error.rawMessage.toWellFormed(),
): ConnectError {
  const copy = new ConnectError(message, error.code);
  copy.details = error.details;
  return copy;
}

function toBytes(error: ConnectError, write: (error: ConnectError) => object): Buffer {
  const safe = withoutMetadata(error);
  try {
    return json(write(safe));
  } catch {
    safe.details = []; // A detail that cannot be serialized must not hide the error.
    return json(write(safe));
  }
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
