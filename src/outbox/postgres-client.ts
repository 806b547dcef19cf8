import { Code, ConnectError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";

/** What a statement of PostgreSQL gives. */
export interface SqlResult<R = Record<string, unknown>> {
  readonly rows: R[];
  /** Rows that were read or changed. */
  readonly rowCount: number | null;
  /** What was done, such as `COMMIT`. */
  readonly command: string;
}

/** A connection, as `pg` has it. */
export interface SqlClient {
  /** @param query its text, or what the library takes in place of that */
  query(query: string | object, values?: unknown[]): Promise<SqlResult>;
}

/** A connection that belongs to a pool. */
export interface SqlPoolClient extends SqlClient {
  /** @param broken whether it is closed in place of being used again */
  release(broken?: boolean): void;
  on?(event: "error" | "notification", listener: () => void): unknown;
  off?(event: "error" | "notification", listener: () => void): unknown;
}

/** A pool of connections: `Pool` of `pg`, and anything of its shape. */
export interface SqlPool {
  connect(): Promise<SqlPoolClient>;
}

/** Codes of failures that end with another try: the server is away, starts, ends, is full, or is a standby. */
const awayCodes =
  /^(?:08...|53...|57P0[1-5]|25006|ECONN\w+|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOST\w+|ENET\w+|ENOENT)$/;
/** What `pg` says without a code. */
const awayTexts =
  /^(?:Connection terminated|Connection ended|timeout e|Client has encountered|Client was closed)/;

/** A failure of PostgreSQL as calls see it; what is no such failure unchanged. */
export function toStoreError(reason: unknown): unknown {
  if (reason instanceof ConnectError || !(reason instanceof Error)) return reason;
  const code = codeOf(reason);
  if (code === "40001" || code === "40P01") {
    return error("a conflict with another transaction: nothing was done", Code.Aborted, reason);
  }
  if (code === "25P02") {
    return error("nothing was committed: a statement of the transaction had failed", Code.Aborted, reason);
  }
  if (awayCodes.test(code) || awayTexts.test(reason.message)) {
    return error("PostgreSQL cannot be reached", Code.Unavailable, reason);
  }
  return reason;
}

/** As `toStoreError`, for the statements of a store itself. */
export function toOwnError(reason: unknown): unknown {
  const code = reason instanceof Error ? codeOf(reason) : "";
  if (code === "42P01" || code === "3F000") {
    return new SetupError("the tables of the outbox are missing: await store.migrate()", { cause: reason });
  }
  if (code === "22021" || code === "22P05") {
    return error("a message with U+0000 in a text cannot be stored", Code.InvalidArgument, reason);
  }
  return toStoreError(reason);
}

function codeOf(reason: Error): string {
  return "code" in reason && typeof reason.code === "string" ? reason.code : "";
}

function error(text: string, code: Code, cause: unknown): ConnectError {
  return new ConnectError(text, code, undefined, undefined, cause);
}
