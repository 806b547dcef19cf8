import { inspect } from "node:util";
import type { CallContext } from "./context.ts";
import { type ConnectError, isUnexpected } from "../errors/errors.ts";
import { rpcName } from "./service.ts";

/** Receives unexpected exceptions, those that are no `ConnectError`. A pino logger is one, and so is `console`. */
export interface FaultLogger {
  /** @param fields the exception as `err`, and the `rpc` or `request` in which it was thrown */
  error(fields: Readonly<Record<string, unknown>>, text: string): void;
}

/** Options of everything that handles exceptions. */
export interface FaultLogOptions {
  /**
   * Where unexpected exceptions are logged with stack and causes: a logger, or `false` for no log. A `ConnectError` is
   * meant for the client and is not logged here; an exception that `callLog` has logged is not logged again. Default:
   * as text to standard error.
   */
  readonly logger: FaultLogger | false | undefined;
}

/** Logs as an error. Never throws: a logger that does is warned of. @param logger undefined for no log */
export function writeFault(
  logger: FaultLogger | undefined,
  fields: Readonly<Record<string, unknown>>,
  text: string,
): void {
  try {
    logger?.error(fields, text);
  } catch (reason) {
    process.emitWarning(reason instanceof Error ? reason : String(reason));
  }
}

/** Errors whose exception is logged already: one error passes through several places that log. */
const written = new WeakSet<ConnectError>();

/** Records that the exception behind `error` is logged. */
export function markWritten(error: ConnectError): void {
  written.add(error);
}

/** Records `copy` as logged if `error` is. */
export function copyWritten(error: ConnectError, copy: ConnectError): void {
  if (written.has(error)) written.add(copy);
}

/**
 * Logs each unexpected exception once. Clients get its code INTERNAL without its text, so the log is the only place to
 * see it.
 */
export class FaultLog {
  readonly #logger: FaultLogger | undefined;

  constructor({ logger }: FaultLogOptions) {
    this.#logger = logger === false ? undefined : (logger ?? standardError);
  }

  /** Logs the error that ended a call if it is unexpected and not logged yet. Never throws. */
  call(error: ConnectError, context: CallContext): void {
    if (!isUnexpected(error)) return;
    this.#write(error, { rpc: rpcName(context.method), protocol: context.protocolName });
  }

  /** As `call`, for a request that calls no rpc, for example one to a route of the application. */
  request(error: ConnectError, request: string): void {
    if (isUnexpected(error)) this.#write(error, { request });
  }

  #write(error: ConnectError, where: Readonly<Record<string, string>>): void {
    if (written.has(error)) return;
    written.add(error);
    writeFault(this.#logger, { err: error.cause, ...where }, "unexpected exception");
  }
}

const standardError: FaultLogger = {
  error({ err, ...where }, text) {
    process.stderr.write(`${text} in ${Object.values(where).join(", ")}: ${shown(err)}\n`);
  },
};

/** An exception with its stack and causes. Never throws, whatever value was thrown. */
function shown(value: unknown): string {
  try {
    return inspect(value);
  } catch {
    return "an exception that cannot be shown";
  }
}
