import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { CallHead } from "../../core/admission/call-head.ts";
import type { MessageCheck } from "../../core/admission/gate.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import { requirePrincipal } from "../../core/security/principal.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import {
  AccessGate,
  accessOptions,
  accessRow,
  AccessTable,
  type AccessChallenges,
} from "../../core/security/access-rules.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { makeSecurityUse, type SecurityUse } from "./security-use.ts";
import { hasLateContracts } from "./upstream-use.ts";

/** Who may call what, by the rules of the configuration and the options of contracts. */
export function open(kit: SectionKit): SectionParts {
  const { config, mistake, shared, logger } = kit;
  const use = shared(makeSecurityUse);
  const challenges = challengesOf(use);
  let table = tableOf(config, mistake);
  const gate = new SectionGate({ table, challenges }, { canChange: true });
  gate.onWrong = (error) => {
    if (areLate) logger.error(`${error.message}: calls of this service fail`);
  };
  // Rpcs of an upstream come with its contracts, and rules for them cannot be compared with what there is now.
  const areLate = hasLateContracts(config);
  let services: readonly DescService[] = [];
  const complete = async (checked: AccessTable): Promise<void> => {
    try {
      if (!areLate) checked.checkNames(services);
      for (const note of checked.notes(services)) logger.warn(note);
      await checked.ready();
    } catch (error) {
      throw named(error, mistake);
    }
  };
  use.needOf = (call) => gate.needOf(call);
  use.rules = table;
  return {
    gates: { access: [gate] },
    check(all) {
      services = all;
      return complete(table);
    },
    policyOf(method) {
      const { level, roles, scopes, conditions, audit, decidedBy } = accessRow(table, method);
      const listed = (names: readonly string[]): string => names.join(",");
      return {
        level,
        roles: listed(roles),
        scopes: listed(scopes),
        conditions: listed(conditions),
        audit: audit ? "yes" : "",
        "decided by": placed(decidedBy, kit),
      };
    },
    async prepare({ next }) {
      const changed = tableOf(next, mistake);
      await complete(changed);
      return () => {
        use.rules = table = changed;
        gate.use({ table, challenges });
      };
    },
  };
}

/** The gate, which leaves it to `check` of the section to tell what is wrong with rules, with the place of each. */
class SectionGate extends AccessGate {
  /** Told of every rule that does not fit its service. */
  onWrong: (error: SetupError) => void = () => {};

  override concerns(method: DescMethod): boolean {
    try {
      return super.concerns(method);
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      this.onWrong(error);
      return true; // Its calls fail.
    }
  }

  override messages(method: DescMethod): MessageCheck | undefined {
    try {
      return super.messages(method);
    } catch (error) {
      if (error instanceof SetupError) return undefined;
      throw error;
    }
  }
}

/** @throws what `mistake` returns, for a rule that cannot be used */
function tableOf({ access, auth, session }: Config, mistake: SectionKit["mistake"]): AccessTable {
  const hasProviders = session !== undefined || Object.keys(auth?.providers ?? {}).length > 0;
  try {
    return new AccessTable(access === undefined ? {} : accessOptions(access), hasProviders);
  } catch (error) {
    throw named(error, mistake);
  }
}

/** An error of the rules with the place of the rule that it names. */
function named(error: unknown, mistake: SectionKit["mistake"]): unknown {
  if (!(error instanceof SetupError)) return error;
  const [, key = "access", problem = error.message] = /^(access[^: ]*): (.*)$/s.exec(error.message) ?? [];
  return mistake(key, problem);
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

/** Where a line of the configuration is, before its key; lines of contracts, and defaults, as they are. */
function placed(line: string, { origin }: SectionKit): string {
  const place = origin(line);
  return place === undefined || place === "default" ? line : `${place} ${line}`;
}
