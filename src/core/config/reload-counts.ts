/** Reloads of the configuration of this process. */
export interface ReloadCounts {
  /** How many there were, by their result. */
  readonly results: Record<"applied" | "unchanged" | "rejected", number>;
  /** How many keys differ from what is in use and need a restart; undefined while no configuration is watched. */
  restartNeeded: number | undefined;
}

/** Counts for the metrics page. */
export const reloadCounts: ReloadCounts = {
  results: { applied: 0, unchanged: 0, rejected: 0 },
  restartNeeded: undefined,
};
