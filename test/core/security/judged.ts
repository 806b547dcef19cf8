import { fromBinary } from "@bufbuild/protobuf";
import { ErrorInfoSchema, type ErrorInfo } from "../../../gen/google/rpc/error_details_pb.ts";
import type { CallHead } from "../../../src/core/admission/call-head.ts";
import { Authenticator } from "../../../src/core/security/authenticator.ts";
import type { CredentialNeed } from "../../../src/core/admission/gate.ts";
import { principal, type Principal } from "../../../src/core/security/principal.ts";
import type { AuthOptions } from "../../../src/core/security/security-options.ts";
import type { SecurityParts } from "../../../src/core/security/security-parts.ts";
import { type Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../../src/core/errors/retry-info.ts";
import { callHead, type CallHeadInit } from "../../support/call-heads.ts";

/** What came of a call. */
export interface Verdict {
  /** Who makes it; undefined for an anonymous client, or a call that is refused. */
  readonly who: Principal | undefined;
  /** `OK`, or the reason of the refusal. */
  readonly reason: string;
  readonly code: Code | 0;
  readonly challenge: string | undefined;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
}

/** Authentication whose calls all need credentials, with the way to ask it. */
export class Judge implements Disposable {
  readonly auth: Authenticator;
  need: CredentialNeed = "required";

  private constructor(open: (judge: () => CredentialNeed) => Authenticator) {
    this.auth = open(() => this.need);
  }

  static async open(options: AuthOptions, parts: Partial<SecurityParts> = {}): Promise<Judge> {
    let need = (): CredentialNeed => "required";
    const auth = await Authenticator.open(options, () => need(), parts);
    return new Judge((own) => {
      need = own;
      return auth;
    });
  }

  /** What comes of a call. */
  async judge(init: CallHeadInit = {}): Promise<Verdict> {
    return judge(this.auth, callHead(init));
  }

  /** What comes of a call with a bearer token. */
  async bearer(token: string, init: CallHeadInit = {}): Promise<Verdict> {
    return this.judge({ ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } });
  }

  [Symbol.dispose](): void {
    this.auth.close();
  }
}

async function judge(auth: Authenticator, head: CallHead): Promise<Verdict> {
  try {
    await auth.gate.admit(head);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    return {
      who: undefined,
      reason: errorInfo(error)?.reason ?? error.message,
      code: error.code,
      challenge: error.metadata.get("www-authenticate") ?? undefined,
      message: error.rawMessage,
      retryAfterMs: retryAfterMsOf(error),
    };
  }
  const who = principal(head.context);
  return { who, reason: "OK", code: 0, challenge: undefined, message: "", retryAfterMs: undefined };
}

function errorInfo(error: ConnectError): ErrorInfo | undefined {
  return (
    error.findDetails(ErrorInfoSchema)[0] ??
    error.details.flatMap((detail) =>
      "type" in detail && detail.type === ErrorInfoSchema.typeName
        ? [fromBinary(ErrorInfoSchema, detail.value)]
        : [],
    )[0]
  );
}
