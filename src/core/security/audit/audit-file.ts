import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { SetupError } from "../../errors/setup-error.ts";
import { type AuditEntry, type ChainEnd, chainStart, formatRecord, readRecord } from "./audit-record.ts";

/** No record is longer, in bytes: so much of a file's end has its last one. */
const tailBytes = 64 * 1024;

/** The end of a file. */
interface Tail {
  /** The last record; undefined for a file without one. */
  readonly end: ChainEnd | undefined;
  /** Bytes behind it: a record that was written in part, as the process was killed. */
  readonly torn: number;
}

/** What an `AuditFile` tells. */
export interface AuditFileEvents {
  /** Records cannot be written from now on. */
  failed(error: unknown): void;
  /** Records are written again. @param lost how many were not */
  recovered(lost: number): void;
}

/**
 * The file of an audit log. Each record is written at once, before `append` returns, but not synced to the disk. One
 * process writes to a file.
 *
 * A record that can be written in part only is cut off again, so that the chain goes on when there is room; a record of
 * the kind `gap` counts those that are missing.
 */
export class AuditFile {
  readonly #path: string;
  readonly #events: AuditFileEvents;
  #fd: number;
  #end: ChainEnd;
  /** Records that could not be written since the last one that was. */
  #lost = 0;
  /** Bytes of a record in part that could not be cut off. */
  #torn = 0;

  /** @throws SetupError if the file cannot be opened, or has something else in it */
  constructor(path: string, events: AuditFileEvents) {
    this.#path = path;
    this.#events = events;
    const { fd, end } = open(path);
    this.#fd = fd;
    this.#end = end ?? chainStart;
  }

  /** Where the chain stands. */
  get end(): ChainEnd {
    return this.#end;
  }

  /** Whether the last record could not be written. */
  get isFailing(): boolean {
    return this.#lost > 0;
  }

  /** Writes a record. @returns whether it is in the file */
  append(entry: AuditEntry): boolean {
    const now = new Date();
    const gap =
      this.#lost === 0 ? undefined : formatRecord({ event: "gap", lost: this.#lost }, this.#end, now);
    const record = formatRecord(entry, gap ?? this.#end, now);
    if (this.#write(`${gap?.line ?? ""}${record.line}`, record)) return true;
    this.#lost++;
    return false;
  }

  /** Writes the record of a gap, if there is one. @returns whether records can be written */
  recover(): boolean {
    if (this.#lost === 0) return true;
    const gap = formatRecord({ event: "gap", lost: this.#lost }, this.#end, new Date());
    return this.#write(gap.line, gap);
  }

  /**
   * Opens the file of this path again, after it was moved: a new file goes on with the chain.
   *
   * @throws SetupError if it cannot be opened, or has another chain in it; records go on into the file that is open
   */
  reopen(): void {
    const { fd, end } = open(this.#path);
    if (end !== undefined && end.hash !== this.#end.hash) {
      closeSync(fd);
      throw new SetupError(`the audit log ${this.#path} has another chain of records: move it away`);
    }
    closeSync(this.#fd);
    this.#fd = fd;
    this.#torn = 0;
  }

  /** Syncs the file, and closes it. */
  close(): void {
    try {
      fsyncSync(this.#fd);
    } catch {
      // Not every file can be synced.
    }
    closeSync(this.#fd);
  }

  #write(text: string, { seq, hash }: ChainEnd): boolean {
    const bytes = Buffer.from(text);
    let written = 0;
    try {
      this.#cut();
      while (written < bytes.length) written += writeSync(this.#fd, bytes, written);
    } catch (error) {
      this.#torn += written;
      try {
        this.#cut();
      } catch {
        // Before the next record.
      }
      if (this.#lost === 0) this.#events.failed(error);
      return false;
    }
    this.#end = { seq, hash };
    if (this.#lost > 0) this.#events.recovered(this.#lost);
    this.#lost = 0;
    return true;
  }

  #cut(): void {
    if (this.#torn === 0) return;
    ftruncateSync(this.#fd, fstatSync(this.#fd).size - this.#torn);
    this.#torn = 0;
  }
}

function open(path: string): { readonly fd: number; readonly end: ChainEnd | undefined } {
  let fd: number | undefined;
  try {
    fd = openSync(path, "a+", 0o600);
    const stat = fstatSync(fd);
    if (!stat.isFile()) return { fd, end: undefined };
    const { end, torn } = tailOf(fd, stat.size, path);
    if (torn > 0) ftruncateSync(fd, stat.size - torn);
    return { fd, end };
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    if (cause instanceof SetupError) throw cause;
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new SetupError(`the audit log ${path} cannot be opened: ${problem}`, { cause });
  }
}

/** @throws SetupError for a file that does not end with a record, or a part of one */
function tailOf(fd: number, size: number, path: string): Tail {
  const start = Math.max(0, size - tailBytes);
  const tail = Buffer.alloc(size - start);
  for (let read = 0; read < tail.length;) {
    const more = readSync(fd, tail, read, tail.length - read, start + read);
    if (more === 0) break;
    read += more;
  }
  const lineEnd = tail.lastIndexOf("\n");
  const part = tail.subarray(lineEnd + 1);
  const begin = '{"time":"';
  const isPart = part.toString("latin1", 0, begin.length) === begin.slice(0, part.length);
  if (!isPart) throw strange(path);
  if (lineEnd === -1) return { end: undefined, torn: part.length };
  const lineStart = tail.lastIndexOf("\n", lineEnd - 1) + 1; // 0 for the first line.
  const record = readRecord(tail.toString("utf8", lineStart, lineEnd));
  if (typeof record === "string") throw strange(path);
  return { end: { seq: record.seq, hash: record.hash }, torn: part.length };
}

function strange(path: string): SetupError {
  return new SetupError(`the audit log ${path} does not end with a record of an audit log: move it away`);
}
