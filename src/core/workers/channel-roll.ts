/** The members of a channel, by the ids of their processes. */
export interface ChannelRoll {
  /** Greater than that of the roll before. */
  readonly number: number;
  readonly live: readonly number[];
  /** Those that have said that they leave, and have still something to do. */
  readonly leaving: readonly number[];
}

/** How a worker stands to a channel: `live`, `leaving`, and `gone` when it has left. */
export type ChannelStage = "live" | "leaving" | "gone";
