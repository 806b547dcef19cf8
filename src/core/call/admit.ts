import type { DescMethod } from "@bufbuild/protobuf";
import type { CallContext } from "./context.ts";

/**
 * Asks the gates of an rpc about a call that is made in this process. Returns undefined for a call that may go on at
 * once, a promise where a gate has to wait.
 *
 * @throws ConnectError, or rejects with it, for a call that is refused
 */
export type AdmitCall = (context: CallContext) => Promise<void> | undefined;

/** Whom a dispatcher asks about calls in this process. */
export interface CallAdmission {
  /** Undefined where no gate concerns the rpc. */
  inProcess(method: DescMethod): AdmitCall | undefined;
}
