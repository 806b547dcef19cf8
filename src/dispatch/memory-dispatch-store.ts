import type { DeliveryQuery, DispatchStore, KeptDelivery, KeptSubscription } from "./dispatch-store.ts";

/** The most deliveries that are kept: the oldest ones go first. */
const mostDeliveries = 10_000;

/** Keeps subscriptions and deliveries for as long as the process lives: for one process, and for tests. */
export function memoryDispatchStore(): DispatchStore {
  return new MemoryDispatchStore();
}

class MemoryDispatchStore implements DispatchStore {
  readonly isDurable = false;
  readonly #subscriptions = new Map<string, KeptSubscription & { readonly changed: number }>();
  /** By subscription and id; the last noted is the last. */
  readonly #deliveries = new Map<string, KeptDelivery>();
  #changes = 0;

  async migrate(): Promise<void> {}

  async changes(since: number | undefined) {
    const all = [...this.#subscriptions.values()];
    const subscriptions = all.filter(({ changed, stored }) =>
      since === undefined ? stored !== undefined : changed > since,
    );
    return { now: this.#changes, subscriptions };
  }

  async find(by: { readonly uid: string } | { readonly owner: string; readonly id: string }) {
    const found =
      "uid" in by
        ? this.#subscriptions.get(by.uid)
        : this.#live().find(({ owner, id }) => owner === by.owner && id === by.id);
    return found?.stored === undefined ? undefined : found;
  }

  async list(owner: string, after: string, limit: number): Promise<readonly KeptSubscription[]> {
    const own = this.#live().filter((each) => each.owner === owner && each.id > after);
    return own.sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limit);
  }

  async insert(subscription: KeptSubscription): Promise<boolean> {
    const { owner, id } = subscription;
    if (this.#live().some((each) => each.owner === owner && each.id === id)) return false;
    this.#put(subscription);
    return true;
  }

  async update(subscription: KeptSubscription): Promise<boolean> {
    const known = this.#subscriptions.get(subscription.uid);
    if (known?.stored === undefined || known.version !== subscription.version - 1) return false;
    this.#put(subscription);
    return true;
  }

  async note(delivery: KeptDelivery): Promise<void> {
    const key = `${delivery.uid} ${delivery.deliveryId}`;
    this.#deliveries.delete(key);
    this.#deliveries.set(key, delivery);
    for (const oldest of this.#deliveries.keys()) {
      if (this.#deliveries.size <= mostDeliveries) break;
      this.#deliveries.delete(oldest);
    }
  }

  async deliveries({
    uid,
    deliveryId,
    sinceMs = 0,
    beforeMs = Infinity,
    beforeId = "",
    limit,
  }: DeliveryQuery) {
    return [...this.#deliveries.values()]
      .filter((each) => each.uid === uid && (deliveryId === undefined || each.deliveryId === deliveryId))
      .filter(({ timeMs, deliveryId: own }) =>
        timeMs === beforeMs ? own < beforeId : timeMs < beforeMs && timeMs >= sinceMs,
      )
      .sort((a, b) => b.timeMs - a.timeMs || (a.deliveryId < b.deliveryId ? 1 : -1))
      .slice(0, limit);
  }

  async sweep(deliveriesBeforeMs: number): Promise<void> {
    for (const [key, { timeMs }] of this.#deliveries)
      if (timeMs < deliveriesBeforeMs) this.#deliveries.delete(key);
    for (const [uid, { stored, changed }] of this.#subscriptions)
      if (stored === undefined && changed < this.#changes) this.#subscriptions.delete(uid);
  }

  #live(): KeptSubscription[] {
    return [...this.#subscriptions.values()].filter(({ stored }) => stored !== undefined);
  }

  #put(subscription: KeptSubscription): void {
    this.#subscriptions.set(subscription.uid, { ...subscription, changed: ++this.#changes });
  }
}
