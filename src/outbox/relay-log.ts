import { Code, type ConnectError, toCallError } from "../core/errors/errors.ts";
import { tellOperators } from "../core/telemetry/program-logger.ts";
import type { OutboxRow } from "./outbox-row.ts";
import type { RelayOptions } from "./relay-options.ts";

/** Says that a row was moved to the dead ones. Never throws. */
export function reportDead(row: OutboxRow, error: ConnectError, onDead: RelayOptions["onDead"]): void {
  if (onDead === undefined) {
    const { id, topic } = row;
    warn(`a row of the outbox is dead: ${Code[error.code]} ${error.rawMessage}`, { id, topic });
    return;
  }
  try {
    onDead(row, error);
  } catch (reason) {
    warn(`onDead has failed: ${toCallError(reason).message}`);
  }
}

/** Logs an error of a relay. */
export function warn(text: string, fields: Readonly<Record<string, string>> = {}): void {
  tellOperators("OUTBOX", "error", text, fields);
}
