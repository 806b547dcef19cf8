import type { DescMethod, Registry } from "@bufbuild/protobuf";
import { canHaveFloats } from "./signed-zero.ts";
import { bindingsOf, selectsRpc } from "./binding-choice.ts";
import type { Route } from "../http-rule/route.ts";
import type { RestTransportOptions } from "./rest-options.ts";

/** What a transport knows of an rpc, made at its first call. */
export interface RestMethod {
  readonly desc: DescMethod;
  /** In the order in which they are tried. */
  readonly bindings: readonly Route[];
  /** Whether requests may have numbers with a sign of their own where they are 0. */
  readonly hasFloats: boolean;
  /** The timeout that a policy gives; undefined for none. */
  readonly timeoutMs: number | undefined;
}

/** The options of a transport, and its types of `google.protobuf.Any`. */
export interface RestScope extends RestTransportOptions {
  readonly registry: Registry;
}

/**
 * Looks up what a transport knows of an rpc.
 *
 * @throws SetupError for a rule that cannot be used
 */
export function methodBook(scope: RestScope): (desc: DescMethod) => RestMethod {
  const known = new WeakMap<DescMethod, RestMethod>();
  return (desc) => {
    let method = known.get(desc);
    if (method === undefined) {
      const policy = scope.policies.findLast(({ selector }) => selectsRpc(selector, desc));
      const [bindings, hasFloats] = [bindingsOf(desc, scope), canHaveFloats(desc.input)];
      method = { desc, bindings, hasFloats, timeoutMs: policy?.timeoutMs };
      known.set(desc, method);
    }
    return method;
  };
}
