import type { Clock } from "../core/time/clock.ts";
import type { Broker } from "./broker.ts";
import { DeadLetters, type DeadSelection } from "./dead-letter-box.ts";
import type { Subscription } from "./subscription.ts";

/** What operators do with the subscriptions of a server, each of which they name by its topic and group. */
export abstract class OperatedSubscriptions {
  /** A subscription. @throws SetupError where there is none */
  abstract find(topic: string, group: string): Subscription;

  /** Where the messages are. */
  protected abstract readonly place: { readonly broker: Broker; readonly clock: Clock };

  /** Runs and fetches nothing of a group until `resume`. @throws SetupError where there is no such subscription */
  pause(topic: string, group: string): void {
    this.find(topic, group).pause();
  }

  /** Ends a pause. @throws SetupError where there is no such subscription */
  resume(topic: string, group: string): void {
    this.find(topic, group).resume();
  }

  /**
   * Gives dead letters to the group that could not handle them, from the oldest on: their attempts begin again.
   *
   * @returns how many
   * @throws SetupError where there is no such subscription; ConnectError where the broker cannot be asked
   */
  replay(topic: string, group: string, selection: Partial<DeadSelection> = {}): Promise<number> {
    return this.deadLetters(topic, group).replay(selection);
  }

  /** The dead letters of a group. @throws SetupError where there is no such subscription */
  deadLetters(topic: string, group: string): DeadLetters {
    const { ownGroup } = this.find(topic, group).plan;
    const { broker, clock } = this.place;
    return new DeadLetters(broker, () => [{ topic, group: ownGroup }], clock);
  }

  /** How many messages wait at the broker, by partition. @throws SetupError where there is no such subscription */
  lag(topic: string, group: string): Promise<ReadonlyMap<number, number>> {
    return this.find(topic, group).lag();
  }

  /**
   * A message is settled without a run when it is delivered next: for one that ends each process that handles it.
   *
   * @throws SetupError where there is no such subscription
   */
  skip(topic: string, group: string, partition: number | undefined, offset: bigint): void {
    this.find(topic, group).skip(partition, offset);
  }
}
