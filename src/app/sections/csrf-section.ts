import { SetupError } from "../../core/errors/setup-error.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import type { Gate } from "../../core/admission/gate.ts";
import { csrf } from "../../gateway/session/csrf.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Forged requests of other sites; also where there are sessions and no section `csrf`. */
export function open({ config, mistake }: SectionKit): SectionParts {
  const gateOf = (from: Config): Gate => {
    try {
      return csrf({ trustedOrigins: from.csrf?.trustedOrigins ?? [] });
    } catch (reason) {
      if (reason instanceof SetupError) throw mistake("csrf.trusted_origins", reason.message);
      throw reason;
    }
  };
  let current = gateOf(config);
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
