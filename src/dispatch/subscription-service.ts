import { clone, create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import { randomUUID } from "node:crypto";
import {
  type Subscription,
  Subscription_State as State,
  SubscriptionSchema,
  SubscriptionService as descriptor,
  WebhookTarget_Verify as Verify,
} from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { StoredSubscriptionSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import type { Service } from "../core/call/service.ts";
import { Code, ConnectError, invalidArgument } from "../core/errors/errors.ts";
import { listDeliveries, redeliver } from "./delivery-history.ts";
import type { DispatchOptions } from "./dispatch-options.ts";
import type { DispatchStore, KeptSubscription } from "./dispatch-store.ts";
import type { DispatcherCore } from "./dispatcher-core.ts";
import { checkedId } from "./subscription-ids.ts";
import { checkMayHave } from "./subscription-access.ts";
import { ownerOf } from "./subscription-owner.ts";
import { pageSizeOf, pageToken, readPageToken } from "./page-token.ts";
import { testSubscription } from "./test-subscription.ts";
import { askReceiver } from "./webhook-target.ts";
import { rotated, secretFor } from "./webhook-secrets.ts";

/**
 * The service by which callers keep subscriptions. Its contract, `ts_ms/dispatch/v1/dispatch.proto`, documents each rpc.
 */
export function subscriptionService(
  core: DispatcherCore,
  options: Pick<DispatchOptions, "authorize" | "webhooks">,
): Service<typeof descriptor> {
  const desk = new SubscriptionDesk(core, options);
  return {
    descriptor,
    createSubscription: ({ subscriptionId, subscription }, context) =>
      desk.create(subscriptionId, subscription, context),
    getSubscription: async ({ subscriptionId }, context) => shown(await desk.own(subscriptionId, context)),
    listSubscriptions: ({ pageSize, pageToken: token }, context) => desk.list(pageSize, token, context),
    updateSubscription: ({ subscriptionId, subscription }, context) =>
      desk.update(subscriptionId, subscription, context),
    async deleteSubscription({ subscriptionId }, context) {
      const { uid } = await desk.own(subscriptionId, context);
      if (!(await core.live.remove(uid))) throw notFound(subscriptionId);
      return {};
    },
    async pauseSubscription({ subscriptionId }, context) {
      const { uid } = await desk.own(subscriptionId, context);
      return shown(there(subscriptionId, await core.states.pause(uid)));
    },
    async resumeSubscription({ subscriptionId }, context) {
      const { uid } = await desk.own(subscriptionId, context);
      return shown(there(subscriptionId, await core.states.resume(uid)));
    },
    rotateSecret: ({ subscriptionId }, context) => desk.rotate(subscriptionId, context),
    async testSubscription({ subscriptionId, subscription, eventJson }, context) {
      const kept = subscriptionId === "" ? undefined : await desk.own(subscriptionId, context);
      return testSubscription(core, kept?.stored?.subscription ?? subscription, eventJson);
    },
    async listDeliveries({ subscriptionId, pageSize, pageToken: token }, context) {
      const { uid } = await desk.own(subscriptionId, context);
      return listDeliveries(desk.store, uid, pageSize, token);
    },
    async redeliver({ subscriptionId, ...which }, context) {
      const kept = await desk.own(subscriptionId, context);
      return redeliver(core, desk.store, kept, which, context.signal);
    },
  };
}

/** What callers do with their subscriptions. */
class SubscriptionDesk {
  readonly #core: DispatcherCore;
  readonly #options: Pick<DispatchOptions, "authorize" | "webhooks">;

  constructor(core: DispatcherCore, options: Pick<DispatchOptions, "authorize" | "webhooks">) {
    this.#core = core;
    this.#options = options;
  }

  /** @throws ConnectError FAILED_PRECONDITION without one */
  get store(): DispatchStore {
    if (this.#core.store !== undefined) return this.#core.store;
    throw new ConnectError(
      "subscriptions cannot be kept: EventDispatcher has no option store",
      Code.FailedPrecondition,
    );
  }

  /** A subscription of the caller. @throws ConnectError NOT_FOUND for any other */
  async own(id: string, context: HandlerContext): Promise<KeptSubscription> {
    checkedId(id);
    return there(id, await this.store.find({ owner: ownerOf(context), id }));
  }

  async create(givenId: string, given: Subscription | undefined, context: HandlerContext) {
    const { box, live, parts } = this.#core;
    const uid = randomUUID();
    const id = checkedId(givenId || uid);
    const subscription = this.#checked(given, context);
    const nowMs = parts.wallMs();
    const { target } = subscription;
    const secret = target.case === "webhook" ? secretFor(target.value) : undefined;
    if (target.case === "webhook") target.value.secret = "";
    const now = timestampFromMs(nowMs);
    Object.assign(subscription, {
      subscriptionId: id,
      state: State.ACTIVE,
      createTime: now,
      updateTime: now,
    });
    const owner = ownerOf(context);
    const secrets = secret === undefined ? [] : [box.seal(uid, secret.text)];
    const stored = create(StoredSubscriptionSchema, { uid, owner, subscription, secrets });
    await this.#core.check(stored);
    await this.#ask(subscription, context.signal);
    const kept = { uid, owner, id, version: 1, stored };
    if (!(await this.store.insert(kept))) {
      throw new ConnectError(`there is a subscription ${JSON.stringify(id)} already`, Code.AlreadyExists);
    }
    await live.take(kept);
    return { subscription: shown(kept), secret: secret?.shown ?? "" };
  }

  async list(size: number, token: string, context: HandlerContext) {
    const limit = pageSizeOf(size);
    const [after = ""] = readPageToken(token, 1);
    const found = await this.store.list(ownerOf(context), String(after), limit + 1);
    const page = found.slice(0, limit);
    return {
      subscriptions: page.map(shown),
      nextPageToken: found.length > limit ? pageToken([page.at(-1)?.id ?? ""]) : "",
    };
  }

  async update(id: string, given: Subscription | undefined, context: HandlerContext): Promise<Subscription> {
    const { uid, stored: before } = await this.own(id, context);
    const subscription = this.#checked(given, context);
    const { target, filter, ordered } = subscription;
    if (target.case === "webhook" && target.value.secret !== "")
      throw wrong("subscription.webhook.secret", "is changed by RotateSecret");
    if (target.case !== before?.subscription?.target.case)
      throw wrong("subscription", "its kind of target cannot be changed: make another one");
    if (ordered !== before?.subscription?.ordered)
      throw wrong("subscription.ordered", "cannot be changed: make another subscription");
    await this.#ask(subscription, context.signal);
    const kept = await this.#core.live.change(uid, async (stored) => {
      if (stored.subscription === undefined) return false;
      const { state } = stored.subscription;
      Object.assign(stored.subscription, {
        ...{ filter, target, ordered },
        ...(state === State.FAULTY && { state: State.ACTIVE, stateReason: "" }),
        updateTime: timestampFromMs(this.#core.parts.wallMs()),
      });
      await this.#core.check(stored);
      return true;
    });
    return shown(there(id, kept));
  }

  async rotate(id: string, context: HandlerContext): Promise<{ readonly secret: string }> {
    const { uid, stored } = await this.own(id, context);
    const { box, live, parts } = this.#core;
    const target = stored?.subscription?.target;
    if (target?.case !== "webhook")
      throw new ConnectError("only webhooks have a secret", Code.FailedPrecondition);
    const secret = secretFor(target.value);
    const kept = await live.change(uid, (changed) => {
      changed.secrets = rotated(uid, changed.secrets, secret.text, box, parts.wallMs());
      return true;
    });
    there(id, kept);
    return { secret: secret.shown };
  }

  /** A copy of what the caller gives. @throws ConnectError INVALID_ARGUMENT, PERMISSION_DENIED */
  #checked(given: Subscription | undefined, context: HandlerContext): Subscription {
    if (given === undefined) throw wrong("subscription", "must be set");
    checkMayHave(given, context, this.#options.authorize);
    const { filter, target, ordered } = clone(SubscriptionSchema, given);
    return create(SubscriptionSchema, { ...(filter && { filter }), target, ordered });
  }

  async #ask({ target }: Subscription, signal: AbortSignal): Promise<void> {
    if (target.case !== "webhook" || target.value.verify !== Verify.OPTIONS) return;
    const { webhooks, parts } = this.#core;
    const { origin, timeoutMs } = this.#options.webhooks;
    const late = new AbortController();
    const cancel = parts.clock.after(timeoutMs, () =>
      late.abort(new ConnectError("the receiver has not answered in time", Code.DeadlineExceeded)),
    );
    try {
      await askReceiver(webhooks, target.value, origin, AbortSignal.any([signal, late.signal]));
    } finally {
      cancel();
    }
  }
}

/** A subscription as its owner sees it. */
function shown({ stored }: KeptSubscription): Subscription {
  return clone(SubscriptionSchema, stored?.subscription ?? create(SubscriptionSchema));
}

function there(id: string, kept: KeptSubscription | undefined): KeptSubscription {
  if (kept?.stored !== undefined) return kept;
  throw notFound(id);
}

function notFound(id: string): ConnectError {
  return new ConnectError(`there is no subscription ${JSON.stringify(id)}`, Code.NotFound);
}

function wrong(field: string, why: string): ConnectError {
  return invalidArgument(`${field}: ${why}`, [{ field, description: why }]);
}
