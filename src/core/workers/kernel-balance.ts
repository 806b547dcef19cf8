import { readFileSync } from "node:fs";
import { SetupError } from "../errors/setup-error.ts";
import type { PrimaryLog } from "./worker-options.ts";

/** Systems on which a port is shared out to the processes that have bound it. */
const sharingSystems: ReadonlySet<string> = new Set(["linux", "freebsd", "sunos", "aix"]);

/**
 * Warns where the balance "kernel" loses connections.
 *
 * @param platform the system
 * @param isMigrating whether connections that wait at a port go to another process that has bound it
 * @throws SetupError for a system that does not share a port out
 */
export function checkKernelBalance(
  log: Pick<PrimaryLog, "warn">,
  platform: string = process.platform,
  isMigrating: () => boolean = migrates,
): void {
  if (!sharingSystems.has(platform)) {
    throw new SetupError(`inWorkers: ${platform} does not share a port out: use the balance "connections"`);
  }
  if (isMigrating()) return;
  log.warn(
    {},
    'the balance "kernel" loses connections when a worker closes its port, unless net.ipv4.tcp_migrate_req is 1',
  );
}

function migrates(): boolean {
  try {
    return readFileSync("/proc/sys/net/ipv4/tcp_migrate_req", "utf8").trim() === "1";
  } catch {
    return false; // An old Linux, or none.
  }
}
