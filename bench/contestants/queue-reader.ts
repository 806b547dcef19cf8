/** Reads a queue while it shall. */
export interface QueueReader {
  /** The queue that is to get what NestJS reads; undefined for events. */
  readonly queue: string | undefined;
  /** Begins to read. */
  read(): void | Promise<void>;
  /** Reads no more. */
  stop(): void | Promise<void>;
}
