import { type Code, ConnectError } from "@connectrpc/connect";

/** The metadata of a lean error that something has read or set. */
const made = Symbol("metadata");
/** The error that a lean error is a copy of, and what its metadata has beside that of the error. */
const copied = Symbol("copied error");

/** Calls `add` with each field that the metadata of a copy has beside that of its error. */
export type AddedMetadata = (add: (name: string, value: string) => void) => void;

interface Copied {
  readonly error: ConnectError;
  readonly added: AddedMetadata;
}

/**
 * An error that ends many calls and is no fault: most of what `ConnectError` costs are the stack, which says nothing of
 * such an end, and the metadata, which are made when they are read.
 */
class LeanError extends ConnectError {
  declare [made]: Headers | undefined;
  declare readonly [copied]: Copied | undefined;
}

Object.defineProperty(LeanError, "name", { value: "ConnectError" });
Object.defineProperties(LeanError.prototype, {
  name: { value: "ConnectError", writable: true, configurable: true },
  isWireError: { value: false, writable: true, configurable: true },
  metadata: {
    get(this: LeanError): Headers {
      return (this[made] ??= metadataOf(this[copied]));
    },
    set(this: LeanError, value: Headers) {
      this[made] = value;
    },
    configurable: true,
  },
});

/** Makes errors of one code and text, each for one call: with a metadata of its own and without a stack. */
export function leanErrors(text: string, code: Code): () => ConnectError {
  let message: string | undefined; // Made with the first one: ConnectError makes `Headers`, which load what fetches.
  return () => {
    message ??= new ConnectError(text, code).message;
    return make(message, { rawMessage: text, code, details: [], cause: undefined }, undefined);
  };
}

/** A copy of an error with further metadata, without its stack. Details and cause are those of the error. */
export function leanCopy(error: ConnectError, added: AddedMetadata): ConnectError {
  return make(error.message, error, { error, added });
}

/** Whether an error is of this file: it has no stack. */
export function isLean(error: ConnectError): boolean {
  return Object.prototype.isPrototypeOf.call(LeanError.prototype, error); // `instanceof` takes every ConnectError.
}

/**
 * The metadata of an error without what `leanCopy` has added to it, unless something has read the metadata of the copy;
 * undefined where there are none.
 */
export function metadataBefore(error: ConnectError): Headers | undefined {
  if (!isLean(error)) return error.metadata;
  const { [made]: found, [copied]: from } = error as LeanError; // As was just found.
  return found ?? (from && metadataBefore(from.error));
}

function metadataOf(from: Copied | undefined): Headers {
  const metadata = new Headers(from && metadataBefore(from.error));
  from?.added((name, value) => metadata.append(name, value));
  return metadata;
}

function make(
  message: string,
  { rawMessage, code, details, cause }: Pick<ConnectError, "rawMessage" | "code" | "details" | "cause">,
  from: Copied | undefined,
): ConnectError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  // The constructor of ConnectError would make `Headers`.
  const error = Reflect.construct(Error, [message], LeanError) as Unmade;
  Error.stackTraceLimit = stackTraceLimit;
  error.rawMessage = rawMessage;
  error.code = code;
  error.details = details;
  error.cause = cause;
  error[made] = undefined;
  error[copied] = from;
  return error;
}

/** A lean error whose fields are not set yet. */
type Unmade = { -readonly [Field in keyof LeanError]: LeanError[Field] };
