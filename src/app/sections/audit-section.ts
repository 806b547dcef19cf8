import { AuditLog } from "../../core/security/audit/audit-log.ts";
import type { WatchedValue } from "../../core/telemetry/metric-books.ts";
import { explained } from "./explained.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { makeSecurityUse } from "./security-use.ts";
import { refuseUnknownRpcs } from "./unknown-rpcs.ts";

/** Records of calls, of reloads, and of the start and the stop of the program. */
export function open(kit: SectionKit): SectionParts {
  const { config, logger, metrics, shared } = kit;
  const use = shared(makeSecurityUse);
  const { destination = "", rpc = [], onFailure } = config.audit ?? {};
  const audit = explained(
    kit,
    "audit.rpc",
    () =>
      new AuditLog({
        destination,
        rpc,
        onFailure: onFailure === "drop" ? "drop" : "deny",
        rules: () => use.rules,
        logger,
      }),
  );
  let unwatch = (): void => {};
  return {
    gates: { resource: [audit.first], audit: [audit.last] },
    observers: [audit],
    check(services) {
      refuseUnknownRpcs(kit, "audit.rpc", audit.unmatched(services), config);
    },
    start() {
      explained(kit, "audit.destination", () => audit.open());
      unwatch = metrics.watch("auditRecords", () => countsOf(audit));
    },
    stop() {
      unwatch();
      audit.close();
    },
    reloaded({ result, changed }) {
      audit.write({
        event: "reload",
        decision: result === "rejected" ? "deny" : "allow",
        resource: changed.length === 0 ? undefined : changed.join(", "),
      });
      try {
        audit.reopen();
      } catch (err) {
        logger.error({ err }, "the audit log was not opened again");
      }
    },
    policyOf: (method): Readonly<Record<string, string>> => (audit.isMarked(method) ? { audit: "yes" } : {}),
  };
}

function countsOf({ counts: { written, dropped, sampled } }: AuditLog): WatchedValue[] {
  const one = (result: string, value: number): WatchedValue => ({ labels: { result }, value });
  return [one("written", written), one("dropped", dropped), one("sampled", sampled)];
}
