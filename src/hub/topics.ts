import { type ConnectError, invalidArgument } from "../core/errors/errors.ts";
import type { MessageForm } from "../core/codec/shared-message.ts";
import { FilesRegistry } from "../core/schema/files-registry.ts";
import { Durations } from "../core/telemetry/durations.ts";
import { codeName } from "../core/errors/code-name.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { ConnectionsStatistics, MetricsPage } from "./connections/statistics.ts";
import type { Confirmed } from "./room/confirmations.ts";
import type { Deliveries } from "./room/publication.ts";
import type { HubTopic } from "./topic.ts";

/** What a hub has done. */
export interface HubStatistics extends ConnectionsStatistics, TopicTotals {
  /** Whether this process reaches the bus. */
  readonly busUp: boolean;
}

/** What the topics of a hub have done. */
export interface TopicTotals {
  /** Rooms with members. */
  readonly rooms: number;
  /** Bytes of messages that rooms keep in this process. */
  readonly ringBytes: number;
  /** Places of calls in rooms. */
  readonly members: number;
  /** Messages that were published, or sent. */
  readonly published: number;
  /** Messages that connections have taken, or read later unless they end before: one for each member. */
  readonly delivered: number;
  /** Messages that members did not get, as their connections had ended or were behind. */
  readonly dropped: number;
  /** How often members were told that they have missed something. */
  readonly resets: number;
  /** Publications that the bus did not bring, whether they were read afterwards or are lost. */
  readonly gaps: number;
}

/** What the topics of several nodes have done together. */
export function sumTopics(own: TopicTotals, others: readonly TopicTotals[]): TopicTotals {
  const sums = { ...own };
  const names = Object.keys(sums) as (keyof TopicTotals)[]; // It has no other members.
  for (const totals of others) for (const name of names) sums[name] += totals[name] ?? 0; // Of another release.
  return sums;
}

/** Counts by topic and a second label. */
type Counted = Map<string, Map<string, number>>;

function countOf(counted: Counted, topic: string, label: string, by = 1): void {
  const ofTopic = counted.get(topic) ?? new Map<string, number>();
  counted.set(topic, ofTopic.set(label, (ofTopic.get(label) ?? 0) + by));
}

function read(counted: Counted, name: string) {
  return [...counted].flatMap(([topic, labels]) =>
    [...labels].map(([label, value]) => ({ labels: { topic, [name]: label }, value })),
  );
}

/** Messages by what has become of them: of those that members have got, `replayed` are from before they came. */
type Outcomes = Record<Exclude<keyof Deliveries, "members"> | "replayed", number>;

/** What the topics of a hub have done. */
export class TopicCounts {
  members = 0;
  readonly #published = new Map<string, number>();
  readonly #took = new Map<string, Durations>();
  readonly #deliveries = new Map<string, Outcomes>();
  readonly #encodings = new Map<MessageForm, number>();
  readonly #joins: Counted = new Map();
  readonly #resumes: Counted = new Map();
  readonly #resets: Counted = new Map();
  readonly #acks: Counted = new Map();

  published(topic: string): void {
    this.#published.set(topic, (this.#published.get(topic) ?? 0) + 1);
  }

  /** What has become of a publication here, whichever node it comes from. */
  delivered(topic: string, { sent, failed, dropped, filtered, lagging }: Deliveries): void {
    const sums = this.#sumsOf(topic);
    sums.sent += sent;
    sums.failed += failed;
    sums.dropped += dropped;
    sums.filtered += filtered;
    sums.lagging += lagging;
  }

  /** A member has come that reads so many publications from before. */
  replayed(topic: string, count: number): void {
    if (count > 0) this.#sumsOf(topic).replayed += count;
  }

  /** How long it took until the members here that keep up had a publication, in milliseconds. */
  took(topic: string, ms: number): void {
    const durations = this.#took.get(topic) ?? new Durations();
    this.#took.set(topic, durations);
    durations.observe(ms / 1_000);
  }

  encoded(form: MessageForm): void {
    this.#encodings.set(form, (this.#encodings.get(form) ?? 0) + 1);
  }

  /** @param error undefined for a join that has succeeded */
  asked(topic: string, error: ConnectError | undefined): void {
    countOf(this.#joins, topic, error === undefined ? "OK" : codeName(error.code));
  }

  /** A member of a topic with history has begun. */
  resumed(topic: string, result: string): void {
    countOf(this.#resumes, topic, result);
  }

  wasReset(topic: string, reason: string): void {
    countOf(this.#resets, topic, reason);
  }

  acknowledged(topic: string, result: string): void {
    countOf(this.#acks, topic, result);
  }

  /** Connections of this node have confirmed a message, and others have not. */
  confirmed(topic: string, { confirmed, unconfirmed }: Confirmed): void {
    if (confirmed > 0) countOf(this.#acks, topic, "confirmed", confirmed);
    if (unconfirmed > 0) countOf(this.#acks, topic, "unconfirmed", unconfirmed);
  }

  /** Adds what is counted to a page of metrics. @returns functions that take it from there */
  watch(metrics: MetricsPage): (() => void)[] {
    return [
      metrics.watch("hubPublished", () =>
        [...this.#published].map(([topic, value]) => ({ labels: { topic }, value })),
      ),
      metrics.watch("hubDeliveries", () =>
        [...this.#deliveries].flatMap(([topic, results]) =>
          Object.entries(results).map(([result, value]) => ({ labels: { topic, result }, value })),
        ),
      ),
      metrics.watch("hubDeliverySeconds", () =>
        [...this.#took].map(([topic, value]) => ({ labels: { topic }, value })),
      ),
      metrics.watch("hubEncodings", () =>
        [...this.#encodings].map(([form, value]) => ({ labels: { form }, value })),
      ),
      metrics.watch("hubJoins", () => read(this.#joins, "code")),
      metrics.watch("hubResumes", () => read(this.#resumes, "result")),
      metrics.watch("hubResets", () => read(this.#resets, "reason")),
      metrics.watch("hubAcks", () => read(this.#acks, "result")),
    ];
  }

  #sumsOf(topic: string): Outcomes {
    const known = this.#deliveries.get(topic);
    if (known !== undefined) return known;
    const made = { sent: 0, replayed: 0, failed: 0, dropped: 0, filtered: 0, lagging: 0 };
    this.#deliveries.set(topic, made);
    return made;
  }

  totals(): Pick<HubStatistics, "members" | "published" | "delivered" | "dropped" | "resets"> {
    const outcomes = [...this.#deliveries.values()];
    return {
      members: this.members,
      published: [...this.#published.values()].reduce((sum, count) => sum + count, 0),
      delivered: outcomes.reduce((sum, { sent, lagging, replayed }) => sum + sent + lagging + replayed, 0),
      dropped: outcomes.reduce((sum, { failed, dropped }) => sum + failed + dropped, 0),
      resets: read(this.#resets, "reason").reduce((sum, { value }) => sum + value, 0),
    };
  }
}

/** The topics of a hub, by their names. */
export class Topics {
  readonly counts = new TopicCounts();
  /** The types of their messages, and all that their files import. */
  readonly types = new FilesRegistry();
  readonly #owners = new Map<string, { readonly topic: HubTopic; readonly owner: string }>();

  /** @param owner the rpc or the name of the topic, for errors. @throws SetupError where there is one of its name */
  add(topic: HubTopic, owner: string): HubTopic {
    const other = this.#owners.get(topic.name);
    if (other !== undefined) {
      throw new SetupError(
        `${owner}: there is a topic ${JSON.stringify(topic.name)} already, of ${other.owner}`,
      );
    }
    this.#owners.set(topic.name, { topic, owner });
    this.types.add(topic.schema.file);
    return topic;
  }

  /** All of them, in the order in which they were declared. */
  *[Symbol.iterator](): Iterator<HubTopic> {
    for (const { topic } of this.#owners.values()) yield topic;
  }

  has(name: string): boolean {
    return this.#owners.has(name);
  }

  /** @param field where the name comes from. @throws ConnectError INVALID_ARGUMENT where there is none of this name */
  named(name: string, field: string): HubTopic {
    const found = this.find(name);
    if (found !== undefined) return found;
    const description = `there is no topic ${JSON.stringify(name)}`;
    throw invalidArgument(`${field}: ${description}`, [{ field, description }]);
  }

  find(name: string): HubTopic | undefined {
    return this.#owners.get(name)?.topic;
  }
}
