import type { CallHead } from "../../core/admission/call-head.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import { requirePrincipal } from "../../core/security/principal.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import {
  AccessGate,
  accessOptions,
  AccessTable,
  type AccessChallenges,
} from "../../core/security/access-rules.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { makeSecurityUse, type SecurityUse } from "./security-use.ts";

/** Who may call what, by the rules of the configuration and the options of contracts. */
export function open(kit: SectionKit): SectionParts {
  const { config, mistake, shared, logger } = kit;
  const use = shared(makeSecurityUse);
  const challenges = challengesOf(use);
  let table = tableOf(config, mistake);
  const gate = new AccessGate({ table, challenges }, { canChange: true });
  use.needOf = (call) => gate.needOf(call);
  return {
    gates: { access: [gate] },
    check(services) {
      try {
        table.checkNames(services);
        for (const note of table.notes(services)) logger.warn(note);
      } catch (error) {
        if (error instanceof SetupError) throw mistake("access", error.message);
        throw error;
      }
    },
    prepare({ next }) {
      const changed = tableOf(next, mistake);
      return () => {
        table = changed;
        gate.use({ table, challenges });
      };
    },
  };
}

/** @throws what `mistake` returns, for a rule that cannot be used */
function tableOf({ access, auth, session }: Config, mistake: SectionKit["mistake"]): AccessTable {
  const hasProviders = session !== undefined || Object.keys(auth?.providers ?? {}).length > 0;
  try {
    return new AccessTable(access === undefined ? {} : accessOptions(access), hasProviders);
  } catch (error) {
    if (error instanceof SetupError) throw mistake("access", error.message);
    throw error;
  }
}

/** The challenges of the providers, or none without the section `auth`. */
function challengesOf(use: SecurityUse): AccessChallenges {
  return {
    missing: (call) => use.authenticator?.missing(call) ?? withoutProviders(call),
    insufficientScope: (call, scopes) => use.authenticator?.insufficientScope(call, scopes) ?? {},
  };
}

function withoutProviders({ context }: CallHead): ConnectError {
  try {
    requirePrincipal(context);
  } catch (error) {
    return error as ConnectError; // Of a call without a principal.
  }
  throw new TypeError("the call has a principal");
}
