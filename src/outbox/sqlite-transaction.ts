import type { HandlerContext } from "@connectrpc/connect";
import type { NewRow } from "./outbox-row.ts";
import { OutboxTransaction } from "./outbox-transaction.ts";
import type { SqliteValue } from "./sqlite-connection.ts";

/** A statement that is compiled, as `node:sqlite` has it. */
export interface SqliteStatement {
  all(...values: SqliteValue[]): unknown[];
  run(...values: SqliteValue[]): { readonly changes: number | bigint };
  columns(): readonly object[];
}

/** A connection on which a user runs a transaction of his own: `DatabaseSync` of `node:sqlite`. */
export interface SqliteClient {
  prepare(text: string): SqliteStatement;
}

/** What a statement of SQLite gives. */
export interface SqliteResult<R> {
  readonly rows: R[];
  /** Rows that were changed; 0 for a statement that gives rows. */
  readonly changes: number;
}

/** A transaction of SQLite: all that is done in it is done at once. */
export class SqliteTransaction extends OutboxTransaction {
  readonly #client: SqliteClient;
  readonly #insert: string;
  #rows = 0;

  constructor(client: SqliteClient, outbox: string, context: HandlerContext | undefined) {
    super(context);
    this.#client = client;
    this.#insert = `insert into ${outbox} (id, topic, key, type, headers, body) values (?, ?, ?, ?, ?, ?)`;
  }

  /** How many rows of the outbox it has. */
  get rows(): number {
    return this.#rows;
  }

  /**
   * Runs one statement.
   *
   * @throws ConnectError FAILED_PRECONDITION `the transaction has ended`; what `node:sqlite` throws
   */
  query<R extends object = Record<string, unknown>>(
    text: string,
    values: readonly SqliteValue[] = [],
  ): SqliteResult<R> {
    this.checkOpen();
    const statement = this.#client.prepare(text);
    if (statement.columns().length > 0) {
      return { rows: statement.all(...values) as R[], changes: 0 }; // The user knows what his statement selects.
    }
    return { rows: [], changes: Number(statement.run(...values).changes) };
  }

  protected async write(rows: readonly NewRow[]): Promise<void> {
    const statement = this.#client.prepare(this.#insert);
    for (const { id, topic, key, type, headers, body } of rows) {
      statement.run(id, topic, key, type, headers, body);
      this.#rows++;
    }
  }
}
