import { createReadStream } from "node:fs";
import { chainStart, readRecord, type ChainEnd } from "./audit-record.ts";

/** What the file of an audit log is. */
export interface AuditVerdict {
  /** Good records, up to the first broken line. */
  readonly records: number;
  /** The hash that the first record follows: 64 zeros, or the last hash of the file before. */
  readonly from: string;
  /** Hash and number of the last good record: what the next file begins with. */
  readonly to: ChainEnd;
  /** The first line that is broken, counted from 1; undefined for a whole file. */
  readonly broken: { readonly line: number; readonly problem: string } | undefined;
}

/** Options of `verifyAudit`. */
export interface VerifyAuditOptions {
  /** The end of the file before, its `to`: the first record must follow it. Default: it may follow any. */
  readonly after?: ChainEnd;
}

/**
 * Checks the file of an audit log: that no line was changed, added or removed, and that each follows the one before.
 * Lines that are missing at the end show only by comparing `to` with what was noted elsewhere.
 *
 * @throws Error if the file cannot be read
 */
export async function verifyAudit(file: string, { after }: VerifyAuditOptions = {}): Promise<AuditVerdict> {
  let from = after?.hash;
  let end = after;
  let records = 0;
  const verdict = (problem?: string): AuditVerdict => ({
    records,
    from: from ?? chainStart.hash,
    to: end ?? chainStart,
    broken: problem === undefined ? undefined : { line: records + 1, problem },
  });
  for await (const line of linesOf(file)) {
    const record = readRecord(line);
    if (typeof record === "string") return verdict(record);
    const problem = chainProblem(record, end);
    if (problem !== undefined) return verdict(problem);
    from ??= record.prev;
    end = { seq: record.seq, hash: record.hash };
    records++;
  }
  return verdict();
}

/** The lines of a file, without their breaks; only a line feed is one. */
async function* linesOf(file: string): AsyncGenerator<string, void, undefined> {
  let rest = "";
  for await (const chunk of createReadStream(file, "utf8")) {
    const lines = `${rest}${String(chunk)}`.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}

function chainProblem(
  record: { readonly seq: number; readonly prev: string },
  end: ChainEnd | undefined,
): string | undefined {
  if (end === undefined) return undefined;
  if (record.prev !== end.hash) return "does not follow the record before";
  return record.seq === end.seq + 1 ? undefined : "has the wrong number";
}
