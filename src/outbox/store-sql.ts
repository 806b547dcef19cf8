/** A value of a statement, or of a row. */
export type SqlValue = string | number | Uint8Array | null;

/** The database of a store, for parts of the library that keep rows of their own in it. */
export interface StoreSql {
  readonly dialect: "postgres" | "sqlite";
  /** The full name of a table, quoted, with schema and prefix of the store. */
  table(name: string): string;
  /**
   * Runs a statement in a transaction of its own.
   *
   * @param text its values are `$1`, `$2` and so on, each used once and in this order
   * @returns the rows that it gives
   * @throws ConnectError UNAVAILABLE where the database cannot be reached
   */
  query(text: string, values: readonly SqlValue[]): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Runs statements that make tables, where they are missing, under a lock. */
  make(tables: readonly string[], statements: string): Promise<void>;
}

/** The places of values as SQLite has them. */
export function sqlitePlaces(text: string): string {
  return text.replaceAll(/\$\d+/g, "?");
}
