import { setMaxListeners } from "node:events";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { NatsLine, NatsMessage } from "../../core/nats/nats-line.ts";
import { NumberedWindow } from "../../core/nats/numbered-window.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { Delivery } from "../broker.ts";
import { byOffset, later, released, settled } from "./answers.ts";
import {
  type AckSubject,
  ackSubjectOf,
  type DeliveryOwner,
  NatsDelivery,
  type ReplyMessage,
} from "./nats-delivery.ts";
import { PullRequests } from "./pull-requests.ts";
import type { ReadConsumer } from "./topology.ts";
import { WorkNotes } from "./work-notes.ts";

/** What a consumer is read for. */
export interface PulledConsumerOwner {
  readonly clock: Clock;
  /** The time by the clock on the wall, in milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Whether its messages have an order. */
  readonly isOrdered: boolean;
  receive(delivery: Delivery): void;
  /** Answers a message. @param to the subject of its caller */
  reply(message: ReplyMessage, to: string): Promise<void>;
  /** The consumer is there no more. */
  gone(): void;
  /** As of `PullRequestsOwner`. */
  refused(why: string | undefined): void;
}

/** By how much the clock of the server may differ, in milliseconds. */
const clockSkewMs = 10_000;

/**
 * Reads one durable consumer, with the deliveries that have come of it.
 *
 * NATS delivers at once what is released, behind what it has delivered already. So what an ordered group releases stays
 * here, with what comes meanwhile, until everything that was handed over is settled or released; then it is handed over
 * again in its order, or at a stop given back in it, before anything is settled that would make room for newer messages.
 */
export class PulledConsumer implements DeliveryOwner {
  readonly #read: ReadConsumer;
  readonly #owner: PulledConsumerOwner;
  /** Everything that is not settled, from the oldest on. */
  readonly #unsettled = new NumberedWindow<NatsDelivery>();
  readonly #notes: WorkNotes;
  #count = 0;
  #held: NatsDelivery[] = [];
  #released: NatsDelivery[] = [];
  /** Settled, and not said yet. */
  #settled: NatsDelivery[] = [];
  #handedOver = 0;
  #lost = new AbortController();
  /** What a connection took with it is given back over the next one; of an ordered group its subscription has seen to that. */
  #left: string[] = [];
  /** The newest message that has come, over the connection of now and over those before. */
  #newest = 0n;
  #newestBefore = 0n;
  /** When the last connection ended, by the clock on the wall. */
  #lostMs = 0;
  #line: NatsLine | undefined;
  #requests: PullRequests | undefined;
  #isWanted = true;
  #isStopping = false;
  #idle: (() => void) | undefined;

  constructor(read: ReadConsumer, owner: PulledConsumerOwner) {
    this.#read = read;
    this.#owner = owner;
    const everyMs = read.ackWaitMs / 3;
    this.#notes = new WorkNotes(this.#unsettled, everyMs, owner.clock, () => this.#line);
  }

  get origin(): Delivery["from"] {
    return this.#read.origin;
  }

  get plan(): ReadConsumer {
    return this.#read;
  }

  get isOrdered(): boolean {
    return this.#owner.isOrdered;
  }

  /** Whether it has a connection. */
  get isOpen(): boolean {
    return this.#line !== undefined;
  }

  /** How many messages wait here. */
  get held(): number {
    return this.#held.length;
  }

  /** There is a connection, and the consumer. @throws NatsAway */
  open(line: NatsLine): void {
    if (this.#line !== line) {
      this.#line = line;
      this.#lost = new AbortController();
      setMaxListeners(0, this.#lost.signal); // All deliveries have the same.
      for (const subject of this.#left.splice(0)) line.publish(subject, released);
    }
    this.#requests = undefined;
    this.#turn();
  }

  /** The connection has ended. */
  down(): void {
    if (this.#line === undefined) return;
    this.#line = undefined;
    this.#requests = undefined;
    this.#newestBefore = this.#newest;
    this.#lostMs = this.#owner.wallMs();
    const left = this.#unsettled.takeAll();
    this.#left = this.#owner.isOrdered ? [] : left.map(({ ack }) => ack.subject);
    this.#count = 0;
    this.#held = [];
    this.#released = [];
    this.#settled = [];
    this.#handedOver = 0;
    this.#lost.abort(new ConnectError("the connection to NATS was lost", Code.Aborted));
    this.#idle?.();
  }

  /** Whether messages are fetched and handed over. */
  set isWanted(isWanted: boolean) {
    this.#isWanted = isWanted;
    this.#turn();
  }

  /** Takes no more; resolves when everything is settled, released or lost. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#isWanted = false;
    await this.#endRequests();
    if (this.#handedOver > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    this.#giveBack();
  }

  settle(delivery: NatsDelivery): void {
    // What is settled makes room for newer messages at another process.
    if (this.#isStopping && this.#owner.isOrdered) this.#settled.push(delivery);
    else this.#answer(delivery, settled);
    this.#done();
  }

  release(delivery: NatsDelivery, delayMs: number): void {
    if (this.#owner.isOrdered) this.#released.push(delivery);
    else this.#answer(delivery, delayMs > 0 ? later(delayMs) : released);
    this.#done();
  }

  reply(message: ReplyMessage, to: string): Promise<void> {
    return this.#owner.reply(message, to);
  }

  /** Fetches or does not, as it should. */
  #turn(): void {
    const line = this.#line;
    if (line === undefined || line.isOver) return;
    if (!this.#isWanted) {
      void this.#endRequests();
      return;
    }
    this.#requests ??= new PullRequests(line, this.#read, {
      clock: this.#owner.clock,
      heard: (message) => this.#heard(message),
      room: () => this.#read.prefetch - this.#count,
      gone: () => this.#owner.gone(),
      refused: (why) => this.#owner.refused(why),
    });
    this.#handOver();
    this.#requests.askSoon();
  }

  async #endRequests(): Promise<void> {
    const requests = this.#requests;
    this.#requests = undefined;
    await requests?.end();
    if (this.#isWanted || this.#owner.isOrdered) return;
    for (const delivery of this.#held.splice(0)) this.#answer(delivery, released);
  }

  #heard(source: NatsMessage): void {
    const line = this.#line;
    const ack = ackSubjectOf(source);
    if (line === undefined || ack === undefined) return;
    const { delayMs } = this.#read;
    if (delayMs > 0 && ack.deliveries === 1) {
      const waitMs = Math.min(delayMs, ack.storedMs + delayMs - this.#owner.wallMs() + 1);
      if (waitMs > 0) return line.publish(ack.subject, later(waitMs));
    }
    const deliveries = this.#deliveriesOf(ack);
    if (ack.offset > this.#newest) this.#newest = ack.offset;
    this.#held.push(this.#add(new NatsDelivery(source, ack, deliveries, this.#lost.signal, this)));
    this.#notes.begin();
    this.#handOver();
  }

  /** Which delivery of a message it is. */
  #deliveriesOf({ deliveries, offset, storedMs }: AckSubject): number {
    // The first delivery of what has waited was the one to let it wait.
    const counted = this.#read.delayMs > 0 ? Math.max(1, deliveries - 1) : deliveries;
    // A server that was killed may have forgotten what it has delivered.
    const isOld = offset <= this.#newestBefore && storedMs <= this.#lostMs + clockSkewMs;
    return isOld ? Math.max(2, counted) : counted;
  }

  #add(delivery: NatsDelivery): NatsDelivery {
    delivery.number = this.#unsettled.add(delivery);
    this.#count++;
    return delivery;
  }

  #handOver(): void {
    while (this.#isWanted && this.#released.length === 0) {
      const next = this.#held.shift();
      if (next === undefined) return;
      this.#handedOver++;
      this.#owner.receive(next);
    }
  }

  #done(): void {
    if (--this.#handedOver === 0) {
      if (this.#isStopping) this.#idle?.();
      else if (this.#released.length > 0) this.#handOverAgain();
    }
    this.#requests?.askSoon();
  }

  #handOverAgain(): void {
    const again = this.#released.splice(0).toSorted(byOffset);
    for (const delivery of again) if (this.#unsettled.take(delivery.number) !== undefined) this.#count--;
    this.#held = [...again.map((delivery) => this.#add(delivery.next())), ...this.#held];
    // In a turn of its own: a receiver may be releasing at this moment.
    queueMicrotask(() => this.#handOver());
  }

  /** Older messages first, and before what makes room for others. */
  #giveBack(): void {
    const back = [...this.#released.splice(0).toSorted(byOffset), ...this.#held.splice(0)];
    for (const delivery of back) this.#answer(delivery, released);
    for (const delivery of this.#settled.splice(0)) this.#answer(delivery, settled);
  }

  #answer(delivery: NatsDelivery, answer: string): void {
    if (this.#unsettled.take(delivery.number) !== undefined) this.#count--;
    const line = this.#line;
    // Without a connection NATS delivers it again.
    if (line !== undefined && !line.isOver) line.publish(delivery.ack.subject, answer);
  }
}
