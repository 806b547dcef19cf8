import { inspect } from "node:util";
import { pino, stdSerializers, stdTimeFunctions, type Logger as PinoLogger } from "pino";
import type { CallContext } from "../call/context.ts";
import { Code, isUnexpected, largestKnownCode, type ConnectError } from "../errors/errors.ts";
import { markWritten } from "../call/fault-log.ts";
import type { CallObserver } from "../call/observer.ts";
import { workerId } from "../lifecycle/worker-process.ts";
import { LineLimit } from "./line-limit.ts";
import { codeName } from "../errors/code-name.ts";
import { callFields } from "./call-fields.ts";
import { type LogDestination, LogWriter } from "./log-writer.ts";
import { useLogger } from "./program-logger.ts";
import { redactText, Redactor } from "./redact.ts";
import { textLines } from "./text-lines.ts";

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
  /**
   * Where the lines go: `stderr`, `stdout`, the path of a file, or what takes them. Default: `stderr`, since standard
   * output is for the messages of the program.
   */
  readonly destination: LogDestination | { write(line: string): void } | undefined;
  /** `json` writes an object a line, `text` a line for people. Default: `json`. */
  readonly format: "json" | "text";
  /** Name of the program, as `service` in every line. Default: none. */
  readonly service: string | undefined;
  /**
   * Further names whose values are never written, beside those of credentials, in any letter case; or what masks them,
   * whose names may change. Default: none.
   */
  readonly redact: readonly string[] | Redactor;
}

/** Formats of logs. */
export const logFormats = ["json", "text"] as const;

/** The defaults of `LoggerOptions`. */
export const loggerDefaults: LoggerOptions = Object.freeze({
  level: "info",
  destination: undefined,
  format: "json",
  service: undefined,
  redact: [],
});

/** Services that balancers and tools poll: their successful calls are logged at trace. */
const plumbing = /^grpc\.(health|reflection|channelz)\./;

/** Codes of errors that are the server's fault; their texts are logged for operators. */
const serverFaults: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/**
 * A logger that writes one line for each event, in batches (see `LogWriter`). Values whose names say that they are
 * credentials are masked in every line, and so are credentials in texts, as far as they can be recognized.
 *
 * @throws SetupError if the file of the log cannot be opened
 */
export function createLogger(options: Partial<LoggerOptions> = {}): Logger {
  const { level, destination = "stderr", format, service, redact } = { ...loggerDefaults, ...options };
  const writer = typeof destination === "string" ? new LogWriter(destination) : destination;
  const redactor = redact instanceof Redactor ? redact : new Redactor(redact);
  const masked = (fields: object): Record<string, unknown> =>
    redactor.value(fields) as Record<string, unknown>; // An object stays one.
  const logger = pino(
    {
      level,
      timestamp: stdTimeFunctions.isoTime,
      base: { ...(service !== undefined && { service }), ...ofWorker(), pid: process.pid },
      serializers: { err: serializeCause },
      formatters: { log: masked },
      hooks: {
        logMethod(inputs, method) {
          const shown = inputs.map((input: unknown) =>
            typeof input === "string" ? redactText(input) : input,
          );
          method.apply(this, shown as Parameters<typeof method>); // As many and of the same kinds.
        },
      },
    },
    format === "text" ? textLines(writer) : writer,
  );
  return maskChildren(logger, masked);
}

/** In a worker every line has its number. */
function ofWorker(): { readonly worker?: number } {
  const worker = workerId();
  return worker === undefined ? {} : { worker };
}

/** Masks what children of the logger have in all of their lines, too; pino's formatters do not see it. */
function maskChildren(logger: Logger, masked: (fields: object) => Record<string, unknown>): Logger {
  const original: unknown = Reflect.get(logger, "child");
  const child = original as (this: Logger, bindings: object, options?: object) => Logger; // Pino's own method.
  return Object.assign(logger, {
    child(this: Logger, bindings: object, options?: object): Logger {
      return child.call(this, masked(bindings), options);
    },
  });
}

/**
 * An observer that writes one line for each call when it has ended: `rpc`, `door`, `code`, `duration_ms`, `request_id`,
 * the `principal`, and the ids of its trace. It never writes messages, nor any metadata.
 *
 * Successful calls are logged at debug, failed ones at info, unexpected exceptions at error with the exception as
 * `err`. Calls of health and reflection are logged one level lower. The text of an error is logged only if the server
 * is at fault, because other texts often repeat input of the client. Of failed calls of one rpc with one code, at most
 * `maxPerSecond` lines are written in a second, and one that says how many were left out.
 */
export function callLog(logger: Logger, { maxPerSecond = 100 }: Partial<CallLogOptions> = {}): CallObserver {
  useLogger(logger);
  const limit = new LineLimit(maxPerSecond, (key, count) => {
    logger.warn({ ...key, left_out: count }, "lines were left out");
  });
  return {
    finished(context, error) {
      if (error !== undefined && isUnexpected(error)) markWritten(error);
      const level = levelOf(context, error);
      if (!logger.isLevelEnabled(level)) return;
      if (error !== undefined && !limit.allows(context.method, error.code)) return;
      logger[level](fieldsOf(context, error), "call");
    },
  };
}

/** Options of `callLog`. */
export interface CallLogOptions {
  /** The most lines in a second for one rpc and code of error. Default: 100. */
  readonly maxPerSecond: number;
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
    ...callFields(context),
    code: codeName(error?.code ?? 0),
    duration_ms: Math.round((performance.now() - context.startedAt) * 1000) / 1000,
  };
  if (error === undefined) return fields;
  if (isUnexpected(error)) fields["err"] = error.cause;
  else if (error.code > largestKnownCode || serverFaults.has(error.code))
    fields["error"] = redactText(error.rawMessage);
  return fields;
}

/** An exception with its stack and causes. Never throws, whatever value was thrown. */
function serializeCause(value: unknown): unknown {
  try {
    return value instanceof Error
      ? redactTexts(stdSerializers.errWithCause(value))
      : { type: typeof value, message: redactText(inspect(value)) };
  } catch {
    return { type: typeof value, message: "an exception that cannot be shown" };
  }
}

/** What pino says of an error, without the credentials in its texts. */
function redactTexts(shown: object): object {
  return Object.fromEntries(
    Object.entries(shown).map(([name, value]: [string, unknown]) => {
      if (typeof value === "string") return [name, redactText(value)];
      return [
        name,
        name === "cause" && typeof value === "object" && value !== null ? redactTexts(value) : value,
      ];
    }),
  );
}
