import { create } from "@bufbuild/protobuf";
import type {
  DispatchConditionConfig,
  DispatchFilterConfig,
  DispatchRoomConfig,
  DispatchRpcConfig,
  DispatchSubscriptionConfig,
  DispatchWebhookConfig,
} from "../../../gen/ts_ms/config/v1/dispatch_pb.ts";
import {
  type Filter,
  FilterSchema,
  WebhookTarget_Signature as Signature,
  WebhookTarget_Verify as Verify,
} from "../../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import type { GivenSubscription } from "../../dispatch/dispatch-options.ts";
import type { SectionKit } from "./section.ts";

type Mistake = SectionKit["mistake"];
type Condition = Pick<DispatchConditionConfig, "types" | "exact" | "prefix" | "suffix" | "cel">;
type Target = NonNullable<GivenSubscription["target"]>;

/** The subscriptions of a configuration, by their ids. @throws what `mistake` returns */
export function subscriptionsOf(
  subscriptions: Readonly<Record<string, DispatchSubscriptionConfig>>,
  mistake: Mistake,
): Readonly<Record<string, GivenSubscription>> {
  const entries = Object.entries(subscriptions).map(([id, each]): [string, GivenSubscription] => {
    const key = `dispatch.subscriptions.${id}`;
    const { filter, ordered } = each;
    return [
      id,
      { ...(filter && { filter: filterOf(filter) }), ordered, target: targetOf(each, key, mistake) },
    ];
  });
  return Object.fromEntries(entries);
}

/** The topics of the hub whose rooms the subscriptions name. */
export function roomTopicsOf(subscriptions: Readonly<Record<string, DispatchSubscriptionConfig>>): string[] {
  return [...new Set(Object.values(subscriptions).flatMap(({ room }) => room?.topic ?? []))];
}

function targetOf(subscription: DispatchSubscriptionConfig, key: string, mistake: Mistake): Target {
  const { rpc, webhook, topic, room } = subscription;
  const targets: Target[] = [];
  if (rpc !== undefined) targets.push(rpcOf(rpc, `${key}.rpc`, mistake));
  if (webhook !== undefined) targets.push(webhookOf(webhook, `${key}.webhook`, mistake));
  if (topic !== undefined) targets.push({ case: "topic", value: topic });
  if (room !== undefined) targets.push(roomOf(room, `${key}.room`, mistake));
  const [first] = targets;
  if (first !== undefined && targets.length === 1) return first;
  throw mistake(key, "exactly one of rpc, webhook, topic and room must be there");
}

function rpcOf({ target, method }: DispatchRpcConfig, key: string, mistake: Mistake): Target {
  const value = {
    target: needed(target, `${key}.target`, mistake),
    method: needed(method, `${key}.method`, mistake),
  };
  return { case: "rpc", value };
}

function webhookOf(webhook: DispatchWebhookConfig, key: string, mistake: Mistake): Target {
  const { url, headers, verify, signature, secret } = webhook;
  return {
    case: "webhook",
    value: {
      url: needed(url, `${key}.url`, mistake),
      headers,
      verify: verify === undefined ? Verify.VERIFY_UNSPECIFIED : Verify.OPTIONS,
      signature: signature === "ED25519" ? Signature.ED25519 : Signature.HMAC_SHA256,
      secret: needed(secret, `${key}.secret`, mistake),
    },
  };
}

function roomOf({ topic, name }: DispatchRoomConfig, key: string, mistake: Mistake): Target {
  const value = {
    topic: needed(topic, `${key}.topic`, mistake),
    name: needed(name, `${key}.name`, mistake),
  };
  return { case: "room", value };
}

function filterOf({ all, any, not, ...condition }: DispatchFilterConfig): Filter {
  const filter = conditionOf(condition);
  filter.all = all.map(conditionOf);
  filter.any = any.map(conditionOf);
  if (not !== undefined) filter.not = conditionOf(not);
  return filter;
}

function conditionOf({ types, exact, prefix, suffix, cel = "" }: Condition): Filter {
  return create(FilterSchema, { types, exact, prefix, suffix, cel });
}

function needed(value: string | undefined, key: string, mistake: Mistake): string {
  if (value !== undefined && value !== "") return value;
  throw mistake(key, "must be set");
}
