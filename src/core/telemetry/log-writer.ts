import { closeSync, constants, fstatSync, openSync, write, writeSync } from "node:fs";
import { SetupError } from "../errors/setup-error.ts";

/** Where lines go: standard error, standard output, or a file by its path. */
export type LogDestination = "stderr" | "stdout" | (string & {});

/** Lines are written when there are so many bytes of them. */
const batchBytes = 4096;
/** Lines wait for others so long, in milliseconds. */
const batchMs = 200;
/** A full pipe is tried again after so many milliseconds. */
const retryMs = 50;
/** The most bytes that wait to be written; further lines are dropped. */
const maxBacklogBytes = 1024 * 1024;
/** Level of pino from which on a line is written at once: error. */
const urgentLevel = 50;

const descriptors: Readonly<Record<string, number>> = { stderr: 2, stdout: 1 };

/** Lines of logs that were lost: as the backlog was full, or the disk, or the pipe had no reader. */
export const logCounts = { dropped: 0 };

/** A member by which pino finds that a stream takes the level of each line. */
const wantsLevel: unique symbol = Symbol.for("pino.metadata");

const open = new Set<LogWriter>();

/**
 * Writes lines to a file or a standard stream, in batches of 4 KiB or 200 ms. Lines of the levels error and fatal, and
 * the last ones when the process exits, are written at once.
 *
 * It never blocks for a reader of a pipe: at most 1 MiB waits, further lines are dropped and counted in `logCounts`.
 */
export class LogWriter {
  /** pino sets `lastLevel` before it writes a line. */
  readonly [wantsLevel] = true;
  lastLevel = 0;
  readonly #path: string | undefined;
  #fd: number;
  #lines: string[] = [];
  #linesBytes = 0;
  /** What is being written: whole lines, of which the first may have been written in part. */
  #batch: Buffer = Buffer.alloc(0);
  #timer: NodeJS.Timeout | undefined;
  /** Whether writing may block, so that a thread beside does it. */
  readonly #mayBlock: boolean;
  /** Whether a thread is writing. */
  #isWriting = false;
  /** Whether the last line in the file is incomplete, as its rest was lost. */
  #torn = false;

  /** @throws SetupError if the file cannot be opened */
  constructor(destination: LogDestination) {
    const fd = descriptors[destination];
    this.#path = fd === undefined ? destination : undefined;
    this.#fd = fd === undefined ? openFile(destination) : forWriting(fd);
    this.#mayBlock = fd !== undefined && fstatSync(this.#fd).isSocket();
    open.add(this);
    if (open.size === 1) process.on("exit", flushLogs);
  }

  /** Adds a line, which ends with a line break. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#batch.length + this.#linesBytes + bytes > maxBacklogBytes) {
      logCounts.dropped++;
      return;
    }
    this.#lines.push(line);
    this.#linesBytes += bytes;
    if (this.lastLevel >= urgentLevel || (this.#linesBytes >= batchBytes && this.#batch.length === 0)) {
      this.flush();
    } else {
      this.#timer ??= setTimeout(() => this.flush(), batchMs).unref();
    }
  }

  /** Whether lines wait to be written. */
  get isBehind(): boolean {
    return this.#batch.length > 0 || this.#lines.length > 0;
  }

  /** Writes all lines now, as far as a full pipe takes them. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#mayBlock) {
      this.#writeBeside();
      return;
    }
    while (this.isBehind) {
      if (this.#batch.length === 0) this.#take();
      if (!this.#writeBatch()) {
        this.#timer = setTimeout(() => this.flush(), retryMs).unref();
        return;
      }
    }
  }

  /** Opens the file of this path again, after it was moved or removed; nothing happens for a standard stream. */
  reopen(): void {
    if (this.#path === undefined) return;
    this.flush();
    let fd: number;
    try {
      fd = openFile(this.#path);
    } catch {
      return; // Lines go on into the file that is open.
    }
    closeSync(this.#fd);
    this.#fd = fd;
    this.#torn = false;
  }

  /** Writes what waits, and closes the file. */
  close(): void {
    this.flush();
    clearTimeout(this.#timer);
    open.delete(this);
    if (open.size === 0) process.off("exit", flushLogs);
    if (this.#path !== undefined) closeSync(this.#fd);
  }

  /** Writes what waits when the process exits: a thread would not be waited for. */
  flushLast(): void {
    if (this.#isWriting) return;
    if (this.#mayBlock && this.isBehind) {
      if (this.#batch.length === 0) this.#take();
      this.#writeBatch();
    } else {
      this.flush();
    }
  }

  #writeBeside(): void {
    if (this.#isWriting || !this.isBehind) return;
    if (this.#batch.length === 0) this.#take();
    const batch = this.#batch;
    this.#isWriting = true;
    write(this.#fd, batch, (error, length) => {
      this.#isWriting = false;
      if (error === null) {
        this.#batch = batch.subarray(length);
      } else if (error.code === "EAGAIN") {
        this.#timer ??= setTimeout(() => this.flush(), retryMs).unref();
        return;
      } else {
        this.#lose(batch);
      }
      this.#writeBeside();
    });
  }

  #take(): void {
    const text = this.#lines.join("");
    this.#batch = Buffer.from(this.#torn ? `\n${text}` : text);
    this.#torn = false;
    this.#lines = [];
    this.#linesBytes = 0;
  }

  /** @returns false if the pipe is full */
  #writeBatch(): boolean {
    const batch = this.#batch;
    try {
      this.#batch = batch.subarray(writeSync(this.#fd, batch));
      return true;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EAGAIN") return false;
      this.#lose(batch);
      return true;
    }
  }

  /** The batch cannot be written. */
  #lose(batch: Buffer): void {
    for (const byte of batch) if (byte === lineBreak) logCounts.dropped++;
    this.#batch = Buffer.alloc(0);
    this.#torn = true;
  }
}

const lineBreak = 0x0a;

/** Writes what waits in all writers, before the process exits. */
export function flushLogs(): void {
  for (const writer of open) writer.flushLast();
}

/** Opens the files of all logs again, as after a rotation: for SIGHUP. */
export function reopenLogs(): void {
  for (const writer of open) writer.reopen();
}

function openFile(path: string): number {
  try {
    return openSync(path, "a");
  } catch (cause) {
    throw new SetupError(
      `the log ${path} cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    );
  }
}

/**
 * A descriptor of a standard stream that does not block: a pipe is opened once more, as the mode of its own descriptor
 * belongs to other processes too.
 */
function forWriting(fd: number): number {
  try {
    if (!fstatSync(fd).isFIFO()) return fd;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return fd; // Where there is no such file system.
  }
}
