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

/** What a logger writes at most, from everything to nothing. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** One of `logLevels`. */
export type LogLevel = (typeof logLevels)[number];

/** Options of `createLogger`. */
export interface LoggerOptions {
  /** The least important level that is written. Default: `info`. */
  readonly level: LogLevel;
  /** Where the lines go. Default: standard error; standard output belongs to what a program tells people. */
  readonly destination: { write(line: string): void } | undefined;
}

/** The defaults of `LoggerOptions`. */
export const loggerDefaults: LoggerOptions = Object.freeze({ level: "info", destination: undefined });

/** Header and metadata name of the id that follows a request through all services. */
const requestIdHeader = "x-request-id";

/** Services that balancers and tools call all the time, whose good calls are of no interest. */
const plumbing = /^grpc\.(health|reflection|channelz)\./;

/** Codes by which a server says that the fault is on its side; their texts are written for operators. */
const serverFaults: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** A logger that writes one JSON object a line, at once, so that nothing is lost when the process ends. */
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
 * An observer that writes one line for each call, when it has ended: rpc, protocol, code, duration in milliseconds and
 * request id; never messages, and of the metadata nothing but that id.
 *
 * Good calls are written at debug, refused ones at info, exceptions that nobody planned at error with the whole
 * exception as `err`. Health and reflection are one step quieter. Texts of errors are written only where the fault is
 * the server's, because those of refusals often repeat what the caller sent.
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

/** Hears of what a gateway ignores. */
export interface HttpLog {
  ignoredUnknown(route: string, kind: "query" | "field", count: number, name: string): void;
}

/** An observer of HTTP requests that writes, at debug, which parameters and fields were ignored as unknown. */
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
    protocol: context.origin?.protocol ?? context.protocolName,
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

/** An exception with its stack and causes. Whatever was thrown, writing it must not throw again. */
function serializeCause(value: unknown): unknown {
  try {
    return value instanceof Error
      ? stdSerializers.errWithCause(value)
      : { type: typeof value, message: inspect(value) };
  } catch {
    return { type: typeof value, message: "an exception that cannot be shown" };
  }
}
