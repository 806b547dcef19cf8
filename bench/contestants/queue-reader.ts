import type { Usage } from "./take-part.ts";

/** Reads a queue while it shall. */
export interface QueueReader {
  /** The queue that is to get what NestJS reads; undefined for events. */
  readonly queue: string | undefined;
  /** Begins to read. @param count how many messages there are */
  read(count: number): void | Promise<void>;
  /** Reads no more. */
  stop(): void | Promise<void>;
  /** What it has used. Default: what this process has. */
  readonly usage?: () => Usage;
}
