import type { Config } from "../../core/config/loader/config-types.ts";
import type { Gate } from "../../core/admission/gate.ts";
import { csrf } from "../../gateway/session/csrf.ts";
import { explained } from "./explained.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Forged requests of other sites; also where there are sessions and no section `csrf`. */
export function open(kit: SectionKit): SectionParts {
  const gateOf = (config: Config): Gate =>
    explained(kit, "csrf.trusted_origins", () => csrf({ trustedOrigins: config.csrf?.trustedOrigins ?? [] }));
  let current = gateOf(kit.config);
  const gate: Gate = { name: "csrf", admit: (call) => current.admit(call) };
  return {
    gates: { csrf: [gate] },
    prepare({ next }) {
      const changed = gateOf(next);
      return () => {
        current = changed;
      };
    },
  };
}
