import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import type { Broker, OutgoingMessage, Published } from "../messaging/broker.ts";
import { messageOf, type OutboxRow } from "./outbox-row.ts";

/** A row that the broker has not taken. */
export interface RefusedRow {
  readonly row: OutboxRow;
  readonly error: ConnectError;
}

/** What became of the rows of a batch. */
export interface BatchResult {
  readonly confirmed: readonly OutboxRow[];
  readonly refused: readonly RefusedRow[];
}

/** Publishes rows in their order. Never rejects. @param signal ends the wait for confirms */
export async function publishRows(
  broker: Pick<Broker, "publish">,
  rows: readonly OutboxRow[],
  signal: AbortSignal,
): Promise<BatchResult> {
  const confirmed: OutboxRow[] = [];
  const refused: RefusedRow[] = [];
  const readable: { row: OutboxRow; message: OutgoingMessage }[] = [];
  for (const row of rows) {
    try {
      readable.push({ row, message: messageOf(row) });
    } catch (reason) {
      refused.push({ row, error: toCallError(reason) });
    }
  }
  const outcomes = await outcomesOf(
    broker,
    readable.map(({ message }) => message),
    signal,
  );
  for (const [at, { row }] of readable.entries()) {
    const outcome = outcomes[at] ?? new ConnectError("the broker has given no outcome", Code.Unavailable);
    if (outcome instanceof ConnectError) refused.push({ row, error: outcome });
    else confirmed.push(row);
  }
  return { confirmed, refused };
}

async function outcomesOf(
  broker: Pick<Broker, "publish">,
  messages: readonly OutgoingMessage[],
  signal: AbortSignal,
): Promise<readonly (Published | ConnectError)[]> {
  if (messages.length === 0) return [];
  try {
    return await broker.publish(messages, { signal });
  } catch (reason) {
    const error = new ConnectError("publishing has failed", Code.Unavailable, undefined, undefined, reason);
    return messages.map(() => error);
  }
}
