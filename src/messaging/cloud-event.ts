/** The attributes of a message, as CloudEvents 1.0.2 has them. */
export interface CloudEvent {
  /** Unique for its `source`. */
  readonly id: string;
  /** A URI reference. */
  readonly source: string;
  readonly type: string;
  /** Undefined for none. */
  readonly subject: string | undefined;
  /** When it happened, in milliseconds since 1970; undefined for none. */
  readonly timeMs: number | undefined;
  /** All others, by their names in lower case: `partitionkey`, `expirytime`, `traceparent`, `correlationid` … */
  readonly extensions: ReadonlyMap<string, string>;
}

/** The attributes by their names without a prefix, as CloudEvents texts. */
export function attributesOf(event: CloudEvent): [name: string, value: string][] {
  const { id, source, type, subject, timeMs, extensions } = event;
  return [
    ["specversion", "1.0"],
    ["id", id],
    ["source", source],
    ["type", type],
    ...(subject === undefined ? [] : [["subject", subject] as [string, string]]),
    ...(timeMs === undefined ? [] : [["time", new Date(timeMs).toISOString()] as [string, string]]),
    ...extensions,
  ];
}
