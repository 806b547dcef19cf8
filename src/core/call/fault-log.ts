import { inspect } from "node:util";
import type { CallContext } from "./context.ts";
import { type ConnectError, isUnexpected } from "../errors/errors.ts";
import { rpcName } from "./service.ts";

/** Takes exceptions that nobody planned: a pino logger is one, and so is `console`. */
export interface FaultLogger {
  /** @param fields the exception as `err`, and `rpc` or `request`, which it happened in */
  error(fields: Readonly<Record<string, unknown>>, text: string): void;
}

/** Options of everything that meets exceptions. */
export interface FaultLogOptions {
  /**
   * Where exceptions that nobody planned are written, whole: a logger, or `false` for nowhere. Errors that are meant for
   * callers (`ConnectError`) are none of them, and one that an observer has logged by `callLog` is not written again.
   * Default: as text to standard error.
   */
  readonly logger: FaultLogger | false | undefined;
}

/** Errors whose exception is written; one error passes several doors on its way out. */
const written = new WeakSet<ConnectError>();

/** Remembers that the exception behind `error` was written. */
export function markWritten(error: ConnectError): void {
  written.add(error);
}

/** Makes `copy` count as written if `error` is. */
export function copyWritten(error: ConnectError, copy: ConnectError): void {
  if (written.has(error)) written.add(copy);
}

/** Writes each exception that nobody planned once: what callers never see, and its author has to. */
export class FaultLog {
  readonly #logger: FaultLogger | undefined;

  constructor({ logger }: FaultLogOptions) {
    this.#logger = logger === false ? undefined : (logger ?? standardError);
  }

  /** Writes what ended a call, if nobody planned it and it was not written before. Never throws. */
  call(error: ConnectError, context: CallContext): void {
    if (!isUnexpected(error)) return;
    const protocol = context.origin?.protocol ?? context.protocolName;
    this.#write(error, { rpc: rpcName(context.method), protocol });
  }

  /** As `call`, for a request that is no call of an rpc: one to a route of the user's own, for example. */
  request(error: ConnectError, request: string): void {
    if (isUnexpected(error)) this.#write(error, { request });
  }

  #write(error: ConnectError, where: Readonly<Record<string, string>>): void {
    if (written.has(error)) return;
    written.add(error);
    try {
      this.#logger?.error({ err: error.cause, ...where }, "unexpected exception");
    } catch (reason) {
      process.emitWarning(reason instanceof Error ? reason : String(reason));
    }
  }
}

const standardError: FaultLogger = {
  error({ err, ...where }, text) {
    process.stderr.write(`${text} in ${Object.values(where).join(", ")}: ${shown(err)}\n`);
  },
};

/** An exception with its stack and causes. Whatever was thrown, showing it must not throw again. */
function shown(value: unknown): string {
  try {
    return inspect(value);
  } catch {
    return "an exception that cannot be shown";
  }
}
