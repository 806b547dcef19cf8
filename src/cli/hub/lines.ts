import type { JsonValue } from "@bufbuild/protobuf";

type Row = Readonly<Record<string, JsonValue>>;

/** What `ts-ms hub` prints: tables and indented JSON for people, or lines of JSON. */
export class Lines {
  readonly #isJson: boolean;
  #hasHead = false;

  constructor(isJson: boolean) {
    this.#isJson = isJson;
  }

  /** Rows of a table, of which the first ones bring its head. */
  table(columns: readonly string[], rows: readonly Row[]): void {
    if (this.#isJson) {
      for (const row of rows) this.#line(JSON.stringify(row));
      return;
    }
    if (rows.length === 0 && this.#hasHead) return;
    const cells = rows.map((row) => columns.map((column) => textOf(row[column])));
    const head = this.#hasHead ? [] : [columns.map((column) => column.toUpperCase())];
    this.#hasHead = true;
    const all = [...head, ...cells];
    const widths = columns.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
    for (const row of all)
      this.#line(
        row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join("  ")
          .trimEnd(),
      );
  }

  value(value: Row): void {
    this.#line(this.#isJson ? JSON.stringify(value) : JSON.stringify(value, undefined, 2));
  }

  /** Something that has happened: a line in both forms. */
  event(value: Row): void {
    this.#line(JSON.stringify(value));
  }

  /** Nodes that have not answered. */
  unreachable(nodes: readonly string[]): void {
    if (nodes.length > 0) process.stderr.write(`these nodes have not answered: ${nodes.join(", ")}\n`);
  }

  #line(text: string): void {
    process.stdout.write(`${text}\n`);
  }
}

function textOf(value: JsonValue | undefined): string {
  if (value === undefined || value === null || value === "") return "-";
  if (Array.isArray(value)) return value.map(textOf).join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
