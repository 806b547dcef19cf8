import type { HandlerContext } from "@connectrpc/connect";

/** Looks at the whole body of a unary call as it came over the wire; throws the error by which the call is refused. */
export type BodyCheck = (body: Uint8Array) => void | Promise<void>;

/** A call context, as far as its body is concerned. */
interface WithBody {
  bodyCheck: BodyCheck | undefined;
}

/** What gates see of a call, as far as its body is concerned. */
export interface HeadOfCall {
  readonly door: string;
  readonly context: HandlerContext;
  readonly method: { readonly methodKind: string };
}

/** The doors that read the body of a unary call in one piece. */
const doors: ReadonlySet<string> = new Set(["rest", "connect", "grpc", "grpc-web"]);

/**
 * Lets a gate look at the body of a call, when it has come and before it is decoded. A call without a body is looked at
 * too, with no bytes.
 *
 * @returns false where bodies are not read in one piece, as in streams: `check` is not called
 */
export function checkBody({ door, context, method }: HeadOfCall, check: BodyCheck): boolean {
  if (!doors.has(door) || method.methodKind !== "unary") return false;
  const call = context as HandlerContext & WithBody; // Contexts that gates see are ours.
  const before = call.bodyCheck;
  call.bodyCheck =
    before === undefined
      ? check
      : async (body) => {
          await before(body);
          await check(body);
        };
  return true;
}

/** Must be called by doors with the body of each unary call, if `context.bodyCheck` is set; it is not called again. */
export async function bodyArrived(context: WithBody, body: Uint8Array): Promise<void> {
  const check = context.bodyCheck;
  context.bodyCheck = undefined;
  await check?.(body);
}
