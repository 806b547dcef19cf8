/** `ts-ms/audit`: records of calls that are linked by their hashes. */

export {
  AuditLog,
  auditDefaults,
  type AuditCounts,
  type AuditLogOptions,
} from "../core/security/audit/audit-log.ts";
export type { AuditRules } from "../core/security/audit/audit-marks.ts";
export type { AuditEntry, AuditEvent, AuditRecord, ChainEnd } from "../core/security/audit/audit-record.ts";
export {
  verifyAudit,
  type AuditVerdict,
  type VerifyAuditOptions,
} from "../core/security/audit/verify-audit.ts";
