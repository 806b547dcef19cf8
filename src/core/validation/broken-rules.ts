import type { DescMessage, Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { Code, type ConnectError } from "@connectrpc/connect";
import type { Violation } from "@bufbuild/protovalidate";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { refusal } from "../admission/refusal.ts";

/**
 * The error for a request that breaks rules: INVALID_ARGUMENT with a `google.rpc.BadRequest` whose violations have the
 * path of the field, a description and the id of the rule as reason.
 *
 * @param limit the largest number of violations in it
 */
export function brokenRequest(
  type: DescMessage,
  violations: readonly Violation[],
  limit: number,
): ConnectError {
  const fieldViolations = violations.slice(0, limit).map((violation) => ({
    field: pathToString(violation.field),
    description: violation.message || violation.ruleId,
    reason: violation.ruleId,
  }));
  const [first] = violations;
  const more = violations.length > 1 ? `, and ${violations.length - 1} more` : "";
  return refusal({
    kind: "validation",
    code: Code.InvalidArgument,
    reason: "VALIDATION_FAILED",
    message: `the ${type.name} breaks a rule: ${first === undefined ? "" : violationText(first)}${more}`,
    details: [{ desc: BadRequestSchema, value: { fieldViolations } }],
  });
}

/** A violation as a sentence: `items[1].e_mail: must be an e-mail address`. */
export function violationText({ field, message, ruleId }: Violation): string {
  const path = pathToString(field);
  return `${path}${path === "" ? "" : ": "}${message || ruleId}`;
}

/** Whether a message has at most so many elements: fields that are set, items and entries, in all messages of it. */
export function hasAtMost(limit: number, message: Message): boolean {
  const open: unknown[] = [message];
  let count = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (ArrayBuffer.isView(next)) continue;
    const elements = Object.values(next as object); // Only objects are opened.
    count += elements.length;
    if (count > limit) return false;
    for (const element of elements) if (typeof element === "object" && element !== null) open.push(element);
  }
  return true;
}
