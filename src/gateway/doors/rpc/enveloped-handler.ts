import type { DescMethod } from "@bufbuild/protobuf";
import type { RequestHead } from "../../http/exchange.ts";
import { type BodyForm, isCodedWhole } from "./body-form.ts";
import type { EnvelopedHandler } from "./enveloped-call.ts";
import { notPosted, refuse, unsupportedType } from "./refusal.ts";
import type { RpcHandler } from "./rpc-door.ts";

/**
 * Handles the requests to an rpc of a protocol of envelopes: POSTs whose content type has a form, and whose body is not
 * compressed as a whole.
 *
 * @param formOf the form of the bodies by the head of a request; undefined for a content type of no such form
 */
export function envelopedHandler(
  method: DescMethod,
  call: EnvelopedHandler,
  formOf: (head: RequestHead) => BodyForm | undefined,
): RpcHandler {
  return (exchange) => {
    const { head } = exchange;
    const refusal = notPosted(head);
    if (refusal !== undefined) return refuse(exchange, refusal);
    const form = isCodedWhole(head) ? undefined : formOf(head);
    if (form === undefined) refuse(exchange, unsupportedType(method, head));
    else call(form, exchange);
  };
}
