import type { HandlerContext } from "@connectrpc/connect";
import type { NewRow } from "./outbox-row.ts";
import { OutboxTransaction } from "./outbox-transaction.ts";
import { type SqlClient, type SqlResult, toOwnError } from "./postgres-client.ts";

/** Rows that are written by one statement, at most. */
const rowsAtOnce = 256;
/** Columns of a row that are written. */
const columns = 6;

/**
 * A transaction of PostgreSQL. It is a client as `pg` has one, for query builders that take one too.
 *
 * Rows of the outbox are written behind the last statement of the user, by as few statements as there can be.
 */
export class PostgresTransaction extends OutboxTransaction {
  readonly #client: SqlClient;
  readonly #outbox: string;
  readonly #writesAtOnce: boolean;
  readonly #waiting: NewRow[] = [];
  #written = 0;

  /** @param writesAtOnce whether rows are written when they are published, as for a commit that is not ours */
  constructor(client: SqlClient, outbox: string, context: HandlerContext | undefined, writesAtOnce: boolean) {
    super(context);
    this.#client = client;
    this.#outbox = outbox;
    this.#writesAtOnce = writesAtOnce;
  }

  /** How many rows of the outbox it has. */
  get rows(): number {
    return this.#written + this.#waiting.length;
  }

  /**
   * Runs a statement, as `query` of `pg`.
   *
   * @throws ConnectError FAILED_PRECONDITION `the transaction has ended`; what the library rejects with
   */
  async query<R extends object = Record<string, unknown>>(
    query: string | object,
    values?: unknown[],
  ): Promise<SqlResult<R>> {
    this.checkOpen();
    const result: SqlResult = await this.#client.query(query, values);
    return result as SqlResult<R>; // The user knows what his statement selects.
  }

  /** Writes the rows that wait. @throws what `toOwnError` makes of the reason */
  async flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const some = this.#waiting.splice(0, rowsAtOnce);
      const places = some.map((_, row) => placesOf(row * columns));
      const values = some.flatMap(({ id, topic, key, type, headers, body }) => [
        ...[id, topic, key, type, headers],
        body === null ? null : Buffer.from(body.buffer, body.byteOffset, body.byteLength), // `pg` takes no other bytes.
      ]);
      const into = `insert into ${this.#outbox} (id, topic, key, type, headers, body) values`;
      try {
        await this.#client.query(`${into} ${places.join(",")}`, values);
      } catch (reason) {
        throw toOwnError(reason);
      }
      this.#written += some.length;
    }
  }

  protected async write(rows: readonly NewRow[]): Promise<void> {
    this.#waiting.push(...rows);
    if (this.#writesAtOnce || this.#waiting.length >= rowsAtOnce) await this.flush();
  }
}

function placesOf(first: number): string {
  return `(${Array.from({ length: columns }, (_, at) => `$${first + at + 1}`).join(",")})`;
}
