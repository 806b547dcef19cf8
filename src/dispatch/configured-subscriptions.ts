import { create } from "@bufbuild/protobuf";
import {
  Subscription_State as State,
  SubscriptionSchema,
  type WebhookTarget,
} from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { StoredSubscriptionSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import { ConnectError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { GivenSubscription } from "./dispatch-options.ts";
import type { KeptSubscription } from "./dispatch-store.ts";
import { configured } from "./live-subscriptions.ts";
import { SecretBox } from "./secret-box.ts";
import { secretFor } from "./webhook-secrets.ts";
import { checkedId } from "./subscription-ids.ts";

/**
 * The subscriptions of a configuration as they are kept: by their ids in every process, so that tasks of one process are
 * found by another.
 *
 * @throws SetupError naming one that has no good id, or a webhook without a good secret
 */
export function configuredSubscriptions(
  given: Readonly<Record<string, GivenSubscription>>,
): KeptSubscription[] {
  const box = new SecretBox(undefined, false); // They are as long here as the configuration.
  return Object.entries(given).map(([id, each]) => {
    try {
      checkedId(id);
    } catch {
      throw new SetupError(
        `EventDispatcher: subscriptions: the id ${JSON.stringify(id)} must have 1 to 64 of a-z, 0-9, - and _`,
      );
    }
    const subscription = create(SubscriptionSchema, each);
    subscription.subscriptionId = id;
    subscription.state = State.ACTIVE;
    const uid = `${configured}.${id}`;
    const { target } = subscription;
    if (target.case === "webhook" && target.value.secret === "") {
      throw new SetupError(
        `EventDispatcher: subscriptions.${id}: webhook.secret must be set: every process signs by the same one`,
      );
    }
    if (target.case === "webhook") checkSecret(id, target.value);
    const secrets = target.case === "webhook" ? [box.seal(uid, target.value.secret)] : [];
    if (target.case === "webhook") target.value.secret = "";
    const stored = create(StoredSubscriptionSchema, { uid, owner: configured, subscription, secrets });
    return { uid, owner: configured, id, version: 1, stored };
  });
}

function checkSecret(id: string, webhook: WebhookTarget): void {
  try {
    secretFor(webhook);
  } catch (cause) {
    const why = cause instanceof ConnectError ? cause.rawMessage : String(cause);
    throw new SetupError(`EventDispatcher: subscriptions.${id}: ${why}`, { cause });
  }
}
