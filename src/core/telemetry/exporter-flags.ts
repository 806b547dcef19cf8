import { hostFlag, pathFlag, portOrOffFlag } from "../config/flag-kinds.ts";
import type { FlagValues } from "../config/flags.ts";
import { addServerGracefulStop } from "../lifecycle/signals.ts";
import { Exporter, exporterDefaults } from "./exporter.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

/** Flags of the metrics page. */
export const exporterFlags = {
  exporterHost: hostFlag(exporterDefaults.host, "--exporter-port", "Address of the metrics page"),
  exporterPort: portOrOffFlag(
    exporterDefaults.port,
    "Port of the metrics page; off disables it, 0 picks a free one",
  ),
  exporterPath: pathFlag(exporterDefaults.path, "Path of the metrics page"),
} as const;

/**
 * Starts the exporter that the flags ask for and puts it on the list of servers to stop; undefined where there is none.
 *
 * When the port was not asked for and is taken, it warns and goes without, so that several programs can run on one
 * machine as they are.
 *
 * @throws Error if a port that was asked for is taken, or the address cannot be bound at all.
 */
export async function startExporter(
  flags: FlagValues<typeof exporterFlags>,
  metrics: Metrics,
  logger: Logger,
): Promise<Exporter | undefined> {
  const { exporterHost: host, exporterPort: port, exporterPath: path, given } = flags;
  if (port === "off") return undefined;
  const exporter = new Exporter({ host, port, path, metrics });
  try {
    await exporter.start();
  } catch (error) {
    if (given.has("exporterPort") || !isTaken(error)) throw error;
    logger.warn(`${error.message}; going on without metrics, choose another port with --exporter-port`);
    return undefined;
  }
  addServerGracefulStop(exporter);
  return exporter;
}

function isTaken(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const { cause } = error;
  return cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
}
