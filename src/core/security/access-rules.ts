export {
  AccessGate,
  type AccessChallenges,
  type AccessGateInit,
  type AccessGateOptions,
} from "./access/access-gate.ts";
export { accessOptions } from "./access/access-config.ts";
export type { AccessLevel } from "../admission/access-level.ts";
export type { AccessOptions, AccessRuleInit } from "./access/access-options.ts";
export { contractRule } from "./access/contract-rule.ts";
export { textReader } from "./access/match.ts";
export { AccessTable } from "./access/access-table.ts";
export {
  accessRow,
  formatPolicy,
  policyRows,
  type PolicyRow,
  type PolicySources,
} from "./access/policy-rows.ts";
