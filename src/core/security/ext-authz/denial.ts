import { Code, type ConnectError } from "@connectrpc/connect";
import type { DeniedHttpResponse } from "../../../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { refusal } from "../../admission/refusal.ts";
import { codeOfHttpStatus } from "../../errors/http-status.ts";
import { setHttpAnswer } from "../../errors/http-answer.ts";
import { retryInfo } from "../../errors/retry-info.ts";
import { fieldOf, isProtected } from "./header-changes.ts";

/** The longest text of a denial outside of REST, in bytes. */
const longestText = 1024;
/** After so many milliseconds a call may be made again about which there was no answer. */
const retryMs = 1_000;

/** The error of a call that an authorizer denies: its answer as it is on REST, its status as a code elsewhere. */
export function denial(answer: DeniedHttpResponse | undefined): ConnectError {
  const status = statusOf(answer, 403);
  return withAnswer(
    refusal({
      kind: "denied",
      code: codeOfHttpStatus(status),
      reason: "AUTHORIZER_DENIED",
      message: textOf(answer, "the authorizer has denied this call"),
      headers: challengeOf(answer),
    }),
    answer,
    status,
  );
}

/** The error of a call about which there is no answer; `answer` is what the authorizer wants clients to get then. */
export function unavailable(answer?: DeniedHttpResponse): ConnectError {
  const error = refusal({
    kind: "authorizer",
    code: answer === undefined ? Code.Unavailable : codeOfHttpStatus(statusOf(answer, 503)),
    reason: "AUTHORIZER_UNAVAILABLE",
    message: textOf(answer, "the authorizer of this call does not answer"),
    details: answer === undefined ? [retryInfo(retryMs)] : [], // It says itself when to come again.
    headers: challengeOf(answer),
  });
  return answer === undefined ? error : withAnswer(error, answer, statusOf(answer, 503));
}

function withAnswer(
  error: ConnectError,
  answer: DeniedHttpResponse | undefined,
  status: number,
): ConnectError {
  if (answer === undefined) return error;
  setHttpAnswer(error, { status, headers: fieldsOf(answer), body: answer.body });
  return error;
}

/** The status of an answer; one that cannot end a call, such as 200, is `otherwise`. */
function statusOf(answer: DeniedHttpResponse | undefined, otherwise: number): number {
  const status: number = answer?.status?.code ?? 0;
  return status >= 300 && status <= 599 ? status : otherwise;
}

function textOf(answer: DeniedHttpResponse | undefined, otherwise: string): string {
  const bytes = Buffer.from(answer?.body ?? "");
  if (bytes.length === 0) return otherwise;
  // A character that is cut in two at the end is left out.
  return bytes
    .subarray(0, longestText)
    .toString()
    .replace(/\uFFFD+$/, "");
}

function fieldsOf({ headers }: DeniedHttpResponse): (readonly [string, string])[] {
  return headers
    .map(fieldOf)
    .filter((field) => field !== undefined && (field[0] === "content-type" || !isProtected(field[0])))
    .filter((field) => field !== undefined);
}

/** How clients of other protocols than REST can authenticate. */
function challengeOf(answer: DeniedHttpResponse | undefined): Record<string, string> {
  const fields = answer === undefined ? [] : fieldsOf(answer);
  return Object.fromEntries(fields.filter(([name]) => name === "www-authenticate" || name === "retry-after"));
}
