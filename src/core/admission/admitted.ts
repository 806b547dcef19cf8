import type { DescMethod } from "@bufbuild/protobuf";
import { createContextKey, type ContextKey } from "@connectrpc/connect";
import type { CallContext } from "../call/context.ts";
import { rpcName } from "../call/service.ts";
import type { Gate } from "./gate.ts";

/** Which gates have admitted a call: the same object for all calls of an rpc. */
export interface Admitted {
  /** A call of another rpc with the same values is another call. */
  readonly method: DescMethod;
  readonly gates: Pick<readonly Gate[], "includes">;
}

const admittedKey: ContextKey<Admitted | undefined> = createContextKey<Admitted | undefined>(undefined, {
  description: "the gates that have admitted the call",
});

/** Every gate there may be. */
const every: Admitted["gates"] = Object.freeze({ includes: () => true });

/** Records which gates have admitted the call: in this process they are not asked about it again. */
export function markAdmitted(context: CallContext, admitted: Admitted): void {
  context.values.set(admittedKey, admitted);
}

/** Exempts a call that a server makes for itself, such as the question whether its upstream is healthy. */
export function exemptFromGates(context: CallContext): void {
  context.values.set(admittedKey, { method: context.method, gates: every });
}

/** The gates that have admitted a call; undefined for none. */
export function admittedGates({ values, method }: CallContext): Admitted["gates"] | undefined {
  const admitted = values.get(admittedKey);
  if (admitted === undefined) return undefined;
  // The same rpc has another descriptor object where its contract was loaded separately.
  const isSame = admitted.method === method || rpcName(admitted.method) === rpcName(method);
  return isSame ? admitted.gates : undefined;
}
