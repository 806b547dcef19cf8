import type { HandlerContext } from "@connectrpc/connect";
import { refusal } from "../core/admission/refusal.ts";
import { Code } from "../core/errors/errors.ts";
import { principal } from "../core/security/principal.ts";
import type { DispatchOptions, GivenSubscription } from "./dispatch-options.ts";

/** The role of principals that may have any subscription where the option `authorize` is not given. */
export const administratorRole = "admin";
/** How calls are named that this program makes itself, without a socket. */
const ownCalls = "in-process";

/**
 * Refuses a caller that may not have a subscription. A subscription makes this program call, publish and send events in
 * its own name: without the option `authorize` only principals with the role `admin` may have one, and the program
 * itself, by calls that have no principal.
 *
 * @throws ConnectError PERMISSION_DENIED with what would allow it
 */
export function checkMayHave(
  subscription: GivenSubscription,
  context: Pick<HandlerContext, "values" | "protocolName">,
  authorize: DispatchOptions["authorize"],
): void {
  const who = principal(context);
  if (authorize !== undefined) {
    const allows: unknown = authorize(subscription, who);
    // A promise is no yes: in JavaScript the function may be an asynchronous one.
    if (allows !== true) throw denied("this subscription is not allowed");
    return;
  }
  const isOwn = who === undefined && context.protocolName === ownCalls;
  if (isOwn || who?.roles.has(administratorRole) === true) return;
  throw denied(
    `subscriptions are kept by principals with the role ${administratorRole}: ` +
      "call as one of these, or let others have some by the option authorize of EventDispatcher",
  );
}

function denied(message: string): ReturnType<typeof refusal> {
  return refusal({ kind: "denied", code: Code.PermissionDenied, reason: "ACCESS_DENIED", message });
}
