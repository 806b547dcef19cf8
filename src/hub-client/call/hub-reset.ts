/** That messages were lost before the next one, and why. */
export interface HubReset {
  /** `EXPIRED`, `UNKNOWN`, `REPLAY_LIMIT`, `LAGGED`, `BUS` or `CLEARED`. */
  readonly reason: string;
  /** The room that it is about; undefined if the server does not say. */
  readonly room: string | undefined;
  /** How many messages were lost; undefined if the server does not know. */
  readonly missed: number | undefined;
}

/** A reset of the server's JSON, whose names may have the prefix of their enum. */
export function toReset(json: Readonly<Record<string, unknown>>): HubReset {
  const { reason, room, missed } = json;
  const count = Number(missed ?? 0);
  return {
    reason: typeof reason === "string" ? reason.replace(/^RESET_REASON_/, "") : "UNKNOWN",
    room: typeof room === "string" && room !== "" ? room : undefined,
    missed: count > 0 ? count : undefined,
  };
}
