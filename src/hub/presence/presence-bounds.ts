/** How it is told who is in the rooms of a topic. */
export interface PresenceBounds {
  /** How long changes are gathered before they are told, in milliseconds. Default: 500. */
  readonly batchMs: number;
  /** How long a connection that has ended counts, so that one that comes back says nothing, in milliseconds. Default: 5,000. */
  readonly leaveDelayMs: number;
  /** With more members of a room than that only counts are told. Default: 1,000. */
  readonly maxMembers: number;
  /** How often the info of a connection may change in a second; more is RESOURCE_EXHAUSTED. Default: 1. */
  readonly updatesPerSecond: number;
}

/** The defaults of `PresenceBounds`. */
export const presenceDefaults: PresenceBounds = Object.freeze({
  batchMs: 500,
  leaveDelayMs: 5_000,
  maxMembers: 1_000,
  updatesPerSecond: 1,
});
