import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import { SetupError } from "../../errors/setup-error.ts";
import { Selector } from "../../policy/selector.ts";
import { contractRule, textReader, type AccessTable } from "../access-rules.ts";

/** What is recorded of an rpc. */
export interface AuditMark {
  /** Whether every call has a record. */
  readonly isMarked: boolean;
  /** Whether the rpc is one of the admin service. */
  readonly isAdmin: boolean;
  /** The place of the rule that decides who may call the rpc; undefined for none. */
  readonly rule: string | undefined;
  /** Reads what a request of a marked rpc is about; undefined where no rule says what that is. */
  readonly resource: ((request: Message) => readonly string[]) | undefined;
}

/** The rules that mark rpcs. */
export type AuditRules = Pick<AccessTable, "of">;

const adminService = "ts_ms.admin.v1.AdminService";

/** Which rpcs are marked: by their access rule, or by name; those of the admin service always are. */
export class AuditMarks {
  readonly #selectors: readonly Selector[];
  readonly #rules: () => AuditRules | undefined;
  /** Of the rules that `#marks` were made of. */
  #current: AuditRules | undefined;
  #marks = new WeakMap<DescMethod, AuditMark>();

  /**
   * @param rules those in use; undefined for the options of contracts alone
   * @throws SetupError for what names no rpc
   */
  constructor(rpc: readonly string[], rules: () => AuditRules | undefined) {
    this.#selectors = rpc.map((text) => new Selector(text));
    this.#rules = rules;
  }

  of(method: DescMethod): AuditMark {
    const rules = this.#rules();
    if (rules !== this.#current) {
      this.#current = rules;
      this.#marks = new WeakMap();
    }
    let mark = this.#marks.get(method);
    if (mark === undefined) this.#marks.set(method, (mark = this.#make(method, rules)));
    return mark;
  }

  /** Names that match no rpc of these services. */
  unmatched(services: readonly DescService[]): readonly string[] {
    return this.#selectors.flatMap((selector) => selector.unmatched(services));
  }

  #make(method: DescMethod, rules: AuditRules | undefined): AuditMark {
    const { audit, resource, rule } = ruleOf(method, rules);
    const isAdmin = method.parent.typeName === adminService;
    const isMarked = audit || isAdmin || this.#selectors.some((selector) => selector.matches(method));
    return {
      isMarked,
      isAdmin,
      rule,
      resource:
        isMarked && resource !== undefined
          ? textReader(resource, method.input, `${rule ?? ""}: resource`)
          : undefined,
    };
  }
}

interface MarkingRule {
  readonly audit: boolean;
  readonly resource: string | undefined;
  readonly rule: string | undefined;
}

function ruleOf(method: DescMethod, rules: AuditRules | undefined): MarkingRule {
  if (rules === undefined) {
    const contract = contractRule(method);
    const { audit = false, resource } = contract?.rule ?? {};
    return { audit, resource, rule: contract?.place };
  }
  try {
    const { rule, place } = rules.of(method);
    return { audit: rule?.audit ?? false, resource: rule?.resource, rule: place };
  } catch (error) {
    // A rule that does not fit its service is reported where rules are checked; calls of the rpc fail.
    if (error instanceof SetupError) return { audit: false, resource: undefined, rule: undefined };
    throw error;
  }
}
