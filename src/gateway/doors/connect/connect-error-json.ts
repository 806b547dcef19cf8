import { create, fromBinary, toBinary, type JsonValue, type Registry } from "@bufbuild/protobuf";
import { endStreamToJson, errorToJson } from "@connectrpc/connect/protocol-connect";
import { jsonWriter } from "../../../core/codec/message-to-json.ts";
import { messageType } from "../../../core/codec/standard-types.ts";
import { type ConnectError, largestKnownCode } from "../../../core/errors/errors.ts";
import { withoutMetadata } from "../rpc/bare-error.ts";

type Detail = ConnectError["details"][number];

/**
 * Writes errors in the form of the Connect protocol, `{"code":"not_found","message":…,"details":[…]}`.
 *
 * @see https://connectrpc.com/docs/protocol#error-end-stream
 */
export class ConnectErrorJson {
  readonly #registry: Registry | undefined;

  /** @param registry types of details that are also shown in `debug`, besides the standard ones */
  constructor(registry: Registry | undefined) {
    this.#registry = registry;
  }

  /**
   * The body of a unary reply that is an error. Never throws.
   *
   * @param isSecret whether the bodies of the call are encrypted: details could repeat what is in them
   */
  body(error: ConnectError, isSecret: boolean): Buffer {
    const shown = isSecret ? withoutDetails(error) : error;
    return toBytes(shown, (safe) => named(errorToJson(this.#withDebug(safe), undefined), safe));
  }

  /** The message that ends a stream. Never throws. */
  endStream(trailer: Headers, error: ConnectError | undefined): Buffer {
    if (error === undefined) return json(endStreamToJson(trailer, undefined, undefined));
    return toBytes(error, (safe) => {
      const end = endStreamToJson(trailer, this.#withDebug(safe), undefined) as { error: object };
      return { ...end, error: named(end.error, safe) };
    });
  }

  /** Adds a readable `debug` to details, which are bytes in this protocol, if their type is known. */
  #withDebug(error: ConnectError): ConnectError {
    if (error.details.length === 0) return error;
    const copy = withoutMetadata(error);
    copy.details = error.details.map((detail) => this.#readable(detail));
    return copy;
  }

  #readable(detail: Detail): Detail {
    const { type, value } = packed(detail);
    try {
      const registry = this.#registry;
      const schema = "desc" in detail ? detail.desc : messageType(type, registry);
      if (schema === undefined) return { type, value };
      const text = jsonWriter(schema, { registry, defaults: "omit" }).write(fromBinary(schema, value));
      return { type, value, debug: JSON.parse(text) as JsonValue };
    } catch {
      return { type, value }; // `debug` is optional.
    }
  }
}

function withoutDetails(error: ConnectError): ConnectError {
  const copy = withoutMetadata(error);
  copy.details = [];
  return copy;
}

/** Names a service's own code above 16 as the implementations of this protocol do, for example `code_2009`. */
function named(errorJson: object, { code }: ConnectError): object {
  return code <= largestKnownCode ? errorJson : { ...errorJson, code: `code_${code}` };
}

function packed(detail: Detail): { readonly type: string; readonly value: Uint8Array } {
  if (!("desc" in detail)) return detail;
  const { desc, value } = detail;
  return { type: desc.typeName, value: toBinary(desc, create(desc, value)) };
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
