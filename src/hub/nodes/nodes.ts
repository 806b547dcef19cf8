import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { HeartbeatSchema, type NodeFrame, type NodePart } from "../../../gen/ts_ms/hub/v1/node_pb.ts";
import { notify } from "../../core/call/observer.ts";
import { Code, ConnectError, toCallError } from "../../core/errors/errors.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { Bus } from "../bus/bus.ts";
import { type FrameInit, messageOfPart, partOf, readFrame, writeFrame } from "./node-frame.ts";
import { NodeRequests } from "./node-requests.ts";
import { type GoneWhy, NodeTable, type OtherNode } from "./node-table.ts";

/** How nodes hear of one another. */
export interface NodeOptions {
  /** How often a node says that it lives, in milliseconds. Default: 2,000. */
  readonly heartbeatMs: number;
  /** After how long a silent node is taken for dead, in milliseconds. Default: 8,000. */
  readonly nodeTtlMs: number;
  /** How long answers of other nodes are waited for, in milliseconds. Default: 1,000. */
  readonly countTimeoutMs: number;
}

/** What nodes need. */
export interface NodesInit extends NodeOptions {
  /** Id of this node. */
  readonly id: string;
  readonly bus: Bus;
  readonly clock: Clock;
  /** Live connections here. */
  readonly connections: () => number;
}

/** Is told of other nodes. */
export interface NodeListener {
  /** A node has come, or has come back. What it is told in answer reaches it. */
  readonly came?: (node: string) => void;
  /** A node has stopped well, or is taken for dead; it may come again as another one. */
  readonly gone?: (node: string, why: GoneWhy) => void;
}

/** What a node puts into its heartbeat, and others read there. */
export interface HeartbeatPart<D extends DescMessage> {
  /** Undefined for nothing. */
  readonly say: () => MessageInitShape<D> | undefined;
  readonly heard: (node: string, message: MessageShape<D>) => void;
}

/** What nodes have answered to a request. */
export interface Answers<D extends DescMessage> {
  readonly answers: readonly { readonly node: string; readonly answer: MessageShape<D> }[];
  /** Ids of nodes that have not answered in time, or have refused; sorted. */
  readonly unreachable: readonly string[];
}

/** Reads what has come of a node. @returns the answer of a request; undefined for none, and for what cannot be read */
type Hear = (from: string, part: NodePart) => Promise<NodePart | undefined>;

/**
 * The nodes of a hub, as each of them sees the others: who is there, and what they say to one another by the bus. Rooms of
 * the hub register what they say by the type of its message: `onCast` and `cast`, `onAsk` and `ask`, `inHeartbeat`.
 *
 * A node says that it lives at its start, again every `heartbeatMs`, and that it stops at its end. One that comes hears of
 * all others at once. Where the bus is of this process alone nothing of this happens, and no timer runs.
 */
export class Nodes {
  readonly #init: NodesInit;
  readonly #table: NodeTable;
  readonly #requests: NodeRequests;
  readonly #listeners: NodeListener[] = [];
  readonly #hears = new Map<string, Hear>();
  readonly #parts: (() => NodePart | undefined)[] = [];
  #life = 0;
  #isLive = false;
  #isBusUp = true;
  #downSinceMs = 0;
  #nextBeatMs = 0;
  #cancel: (() => void) | undefined;
  #broken = 0;

  constructor(init: NodesInit) {
    this.#init = init;
    this.#requests = new NodeRequests(init.clock, init.countTimeoutMs);
    this.#table = new NodeTable(init.nodeTtlMs, {
      came: (node) => notify(this.#listeners, ({ came }) => came?.(node)),
      gone: (node, why) => {
        if (why === "stopped") this.#requests.stopped(node);
        notify(this.#listeners, ({ gone }) => gone?.(node, why));
      },
    });
  }

  /** The other live nodes, in no particular order. */
  get others(): readonly OtherNode[] {
    return this.#table.nodes;
  }

  /** How many frames came that could not be read. */
  get brokenFrames(): number {
    return this.#broken;
  }

  /** Tells `listener` of nodes that come and go from now on. */
  listen(listener: NodeListener): void {
    this.#listeners.push(listener);
  }

  /** Calls `heard` with every such message that another node casts. A type has one listener. */
  onCast<D extends DescMessage>(schema: D, heard: (from: string, message: MessageShape<D>) => void): void {
    this.#hears.set(schema.typeName, async (from, part) => {
      const message = this.#read(schema, part);
      if (message !== undefined) heard(from, message);
      return undefined;
    });
  }

  /** Answers requests of other nodes. What `answer` throws refuses the request, and the node counts as unreachable. */
  onAsk<Q extends DescMessage, A extends DescMessage>(
    question: Q,
    answerSchema: A,
    answer: (request: MessageShape<Q>, from: string) => MessageInitShape<A> | Promise<MessageInitShape<A>>,
  ): void {
    this.#hears.set(question.typeName, async (from, part) => {
      const request = this.#read(question, part);
      return request && partOf(answerSchema, await answer(request, from));
    });
  }

  /** Repeats a message in each heartbeat, and hears those of other nodes. A type has one owner. */
  inHeartbeat<D extends DescMessage>(schema: D, { say, heard }: HeartbeatPart<D>): void {
    this.#parts.push(() => {
      const message = say();
      return message && partOf(schema, message);
    });
    this.onCast(schema, heard);
  }

  /**
   * Says something to one other node, or to all others.
   *
   * @throws ConnectError UNAVAILABLE where the bus is away
   */
  async cast<D extends DescMessage>(schema: D, message: MessageInitShape<D>, to = "all"): Promise<void> {
    await this.#send(to, { part: partOf(schema, message) });
  }

  /**
   * Asks all other live nodes, and waits for their answers up to `countTimeoutMs`. Never rejects: a node without an answer
   * is unreachable.
   *
   * @param among ids of those that are asked. Default: all
   * @param timeoutMs in place of `countTimeoutMs`
   */
  async ask<Q extends DescMessage, A extends DescMessage>(
    question: Q,
    answerSchema: A,
    request: MessageInitShape<Q>,
    among?: readonly string[],
    timeoutMs?: number,
  ): Promise<Answers<A>> {
    const nodes = this.others.map(({ id }) => id).filter((id) => among?.includes(id) ?? true);
    const part = partOf(question, request);
    const send = async (number: number): Promise<void> => {
      const to = among === undefined ? ["all"] : nodes;
      await Promise.all(to.map((node) => this.#send(node, { part, request: number })));
    };
    const raw = await this.#requests.ask(nodes, among === undefined, send, timeoutMs);
    const read = [...raw.answers].map(([node, answer]) => ({
      node,
      answer: this.#read(answerSchema, answer),
    }));
    const broken = read.filter(({ answer }) => answer === undefined).map(({ node }) => node);
    return {
      answers: read.flatMap(({ node, answer }) => (answer === undefined ? [] : [{ node, answer }])),
      unreachable: [...raw.unreachable, ...broken].sort(),
    };
  }

  /** The node lives from now on: its bus is started. */
  start(): void {
    if (this.#isLive || !this.#init.bus.isShared) return;
    this.#isLive = true;
    this.#life++;
    this.#beat("all");
    this.#wait();
  }

  /** The node lives no longer, and says so. Never rejects. */
  async stop(): Promise<void> {
    if (!this.#isLive) return;
    this.#isLive = false;
    this.#cancel?.();
    this.#table.clear();
    await this.#sendBeat("all", { stops: true }).catch(() => {}); // Others will find out.
  }

  /** Whether frames can come: nothing is held against nodes in a time without. */
  busIs(isUp: boolean): void {
    if (isUp === this.#isBusUp) return;
    this.#isBusUp = isUp;
    const nowMs = this.#init.clock.nowMs();
    if (!isUp) this.#downSinceMs = nowMs;
    else {
      this.#table.forgive(nowMs - this.#downSinceMs);
      if (this.#isLive) this.#beat("all");
    }
    this.#wait();
  }

  /** A frame has come by the bus, of another node or of this one. Never throws. */
  frame(bytes: Uint8Array): void {
    if (!this.#isLive) return;
    const frame = readFrame(bytes);
    if (frame === "broken") this.#broken++;
    if (typeof frame === "string" || frame.from === this.#init.id) return;
    const { from, life, part, answers, refusal } = frame;
    if (!this.#table.heard(from, life, this.#init.clock.nowMs())) return;
    if (answers !== 0) this.#requests.answered(answers, from, refusal === undefined ? part : undefined);
    else if (part === undefined) this.#broken++;
    else if (part.type === HeartbeatSchema.typeName) this.#heartbeat(from, life, part);
    else if (frame.request === 0) this.#tell(from, part);
    else void this.#answer(frame, part);
  }

  #heartbeat(from: string, life: number, part: NodePart): void {
    const beat = this.#read(HeartbeatSchema, part);
    if (beat === undefined) return;
    const nowMs = this.#init.clock.nowMs();
    if (beat.stops) {
      this.#table.stopped(from, life, nowMs);
      return;
    }
    if (this.#table.beat(from, life, beat.connections, nowMs)) {
      if (!beat.answers) this.#beat(from, true);
      this.#wait();
    }
    for (const own of beat.parts) this.#tell(from, own);
  }

  #tell(from: string, part: NodePart): void {
    const hear = this.#hears.get(part.type); // Parts of a later release are not known.
    if (hear !== undefined) notify([hear], (known) => known(from, part));
  }

  /** Never rejects. */
  async #answer({ from, request }: NodeFrame, part: NodePart): Promise<void> {
    try {
      const answer = await this.#hears.get(part.type)?.(from, part);
      if (answer === undefined) throw new ConnectError(`${part.type} is not known`, Code.Unimplemented);
      await this.#send(from, { answers: request, part: answer });
    } catch (reason) {
      const { code, rawMessage: message } = toCallError(reason);
      // A bus that is away takes no refusal either; the other node waits no longer than it wants.
      await this.#send(from, { answers: request, refusal: { code, message } }).catch(() => {});
    }
  }

  #read<D extends DescMessage>(schema: D, part: NodePart): MessageShape<D> | undefined {
    const message = messageOfPart(schema, part);
    if (message === undefined) this.#broken++;
    return message;
  }

  #beat(to: string, answers = false): void {
    if (to === "all") this.#nextBeatMs = this.#init.clock.nowMs() + this.#init.heartbeatMs;
    this.#sendBeat(to, { answers }).catch(() => {}); // The next one follows.
  }

  #sendBeat(to: string, more: { readonly answers?: boolean; readonly stops?: boolean }): Promise<void> {
    const parts = more.stops === true ? [] : this.#parts.map((part) => part()).filter((part) => !!part);
    return this.cast(HeartbeatSchema, { connections: this.#init.connections(), parts, ...more }, to);
  }

  async #send(to: string, frame: FrameInit): Promise<void> {
    const { bus, id: from } = this.#init;
    if (bus.isShared) await bus.cast(to, writeFrame({ from, life: this.#life, ...frame }));
  }

  /** Waits for the next heartbeat, or until a node is silent for too long. */
  #wait(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (!this.#isLive) return;
    const { clock } = this.#init;
    const atMs = Math.min(this.#nextBeatMs, this.#isBusUp ? this.#table.nextMs : Number.POSITIVE_INFINITY);
    this.#cancel = clock.after(Math.max(0, atMs - clock.nowMs()), () => this.#due(atMs), false);
  }

  #due(atMs: number): void {
    const { clock, heartbeatMs } = this.#init;
    const nowMs = clock.nowMs();
    // This process has stood still: what others have said meanwhile is not read yet.
    if (nowMs - atMs > heartbeatMs / 2) this.#table.forgive(nowMs - atMs);
    if (this.#isBusUp) this.#table.expire(nowMs);
    if (this.#nextBeatMs <= nowMs) this.#beat("all");
    this.#wait();
  }
}
