import type { Hub } from "../hub/hub.ts";

/** What the log of a program is told. */
export interface BusLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Writes a line when the bus of a hub is lost, and one when it is there again. @returns ends that */
export function logBus(hub: Pick<Hub, "on">, logger: BusLogger): () => void {
  return hub.on("bus", ({ name: bus, isUp }) => {
    if (isUp) logger.info({ bus }, "the bus of the hub is there");
    else
      logger.warn(
        { bus },
        "the bus of the hub is down: joins and publications are refused until it is there again",
      );
  });
}
