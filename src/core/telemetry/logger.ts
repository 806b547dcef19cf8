import { inspect } from "node:util";
import { destination, pino, stdSerializers, stdTimeFunctions, type Logger as PinoLogger } from "pino";
import type { CallContext } from "../call/context.ts";
import { Code, isUnexpected, largestKnownCode, type ConnectError } from "../errors/errors.ts";
import { markWritten } from "../call/fault-log.ts";
import type { CallObserver } from "../call/observer.ts";
import { rpcName } from "../call/service.ts";
import { codeName } from "../errors/code-name.ts";

/** A structured logger, pino's. */
export type Logger = PinoLogger;

/** Log levels, from the most to the least verbose. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** One of `logLevels`. */
export type LogLevel = (typeof logLevels)[number];

/** Options of `createLogger`. */
export interface LoggerOptions {
  /** The least important level that is written. Default: `info`. */
  readonly level: LogLevel;
  /** Where the lines are written. Default: standard error, since standard output is for the messages of the program. */
  readonly destination: { write(line: string): void } | undefined;
}

/** The defaults of `LoggerOptions`. */
export const loggerDefaults: LoggerOptions = Object.freeze({ level: "info", destination: undefined });

/** Name of the header and metadata with the request id that services propagate. */
const requestIdHeader = "x-request-id";

/** Services that balancers and tools poll: their successful calls are logged at trace. */
const plumbing = /^grpc\.(health|reflection|channelz)\./;

/** Codes of errors that are the server's fault; their texts are logged for operators. */
const serverFaults: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** A logger that writes one JSON object per line, synchronously, so that no line is lost when the process ends. */
export function createLogger(options: Partial<LoggerOptions> = {}): Logger {
  const merged = { ...loggerDefaults, ...options };
  return pino(
    {
      level: merged.level,
      timestamp: stdTimeFunctions.isoTime,
      base: { pid: process.pid },
      serializers: { err: serializeCause },
    },
    merged.destination ?? destination({ dest: 2, sync: true }),
  );
}

/**
 * An observer that writes one line for each call when it has ended: rpc, protocol, code, duration in milliseconds and
 * request id. It never writes messages, and no other metadata than the request id.
 *
 * Successful calls are logged at debug, failed ones at info, unexpected exceptions at error with the exception as
 * `err`. Calls of health and reflection are logged one level lower. The text of an error is logged only if the server
 * is at fault, because other texts often repeat input of the client.
 */
export function callLog(logger: Logger): CallObserver {
  return {
    finished(context, error) {
      if (error !== undefined && isUnexpected(error)) markWritten(error);
      const level = levelOf(context, error);
      if (!logger.isLevelEnabled(level)) return;
      logger[level](fieldsOf(context, error), "call");
    },
  };
}

/** Called with the names that a gateway ignores. */
export interface HttpLog {
  ignoredUnknown(route: string, kind: "query" | "field", count: number, name: string): void;
}

/** An observer of HTTP requests that logs, at debug, which parameters and fields were ignored as unknown. */
export function httpLog(logger: Logger): HttpLog {
  return {
    ignoredUnknown(route, kind, _count, name) {
      logger.debug({ route, kind, name }, "ignored as unknown");
    },
  };
}

function levelOf(
  context: CallContext,
  error: ConnectError | undefined,
): "trace" | "debug" | "info" | "error" {
  const quiet = plumbing.test(context.service.typeName);
  if (error === undefined) return quiet ? "trace" : "debug";
  if (isUnexpected(error)) return "error";
  return quiet ? "debug" : "info";
}

function fieldsOf(context: CallContext, error: ConnectError | undefined): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    rpc: rpcName(context.method),
    protocol: context.protocolName,
    code: codeName(error?.code ?? 0),
    durationMs: Math.round((performance.now() - context.startedAt) * 1000) / 1000,
  };
  const requestId = context.requestHeader.get(requestIdHeader);
  if (requestId !== null) fields["requestId"] = requestId;
  if (error === undefined) return fields;
  if (isUnexpected(error)) fields["err"] = error.cause;
  else if (error.code > largestKnownCode || serverFaults.has(error.code)) fields["error"] = error.rawMessage;
  return fields;
}

/** An exception with its stack and causes. Never throws, whatever value was thrown. */
function serializeCause(value: unknown): unknown {
  try {
    return value instanceof Error
      ? stdSerializers.errWithCause(value)
      : { type: typeof value, message: inspect(value) };
  } catch {
    return { type: typeof value, message: "an exception that cannot be shown" };
  }
}
