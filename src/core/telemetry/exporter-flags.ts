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
 * Starts the exporter that the flags configure and adds it to the servers to stop. Undefined if there is none.
 *
 * If the default port is in use and was not given as a flag, it logs a warning and starts no exporter, so that several
 * programs can run on one machine with default flags.
 *
 * @throws Error if a port that was given as a flag is in use, or the address cannot be bound at all.
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
    if (given.has("exporterPort") || !isPortInUse(error)) throw error;
    logger.warn(`${error.message}; going on without metrics, choose another port with --exporter-port`);
    return undefined;
  }
  addServerGracefulStop(exporter);
  return exporter;
}

function isPortInUse(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const { cause } = error;
  return cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
}
