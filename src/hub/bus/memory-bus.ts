import { SetupError } from "../../core/errors/setup-error.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { Position } from "../room/position.ts";
import type { RoomEntry } from "../room/publication.ts";
import type { Bus, BusNode, BusPage, BusPublication, BusReceipt, RoomSeen } from "./bus.ts";
import { MemoryStream } from "./memory-stream.ts";

/** How often what is too old is looked for, in milliseconds. */
const sweepMs = 30_000;

/** What the memory buses of a process keep. Hubs of one name whose buses have the same store are nodes of one another. */
export class MemoryStore {
  readonly buses = new Set<MemoryBus>();
  readonly #streams = new Map<string, MemoryStream>();
  /** With the times until which they are kept. */
  readonly cursors = new Map<string, { readonly position: Position; readonly untilMs: number }>();
  #isSwept = false;

  /** @param key name of the hub and path of the room */
  find(key: string): MemoryStream | undefined {
    return this.#streams.get(key);
  }

  open(key: string, { clock }: BusNode): MemoryStream {
    let stream = this.#streams.get(key);
    if (stream === undefined) this.#streams.set(key, (stream = new MemoryStream(clock.nowMs())));
    if (!this.#isSwept) this.#sweepLater(clock);
    return stream;
  }

  #sweepLater(clock: BusNode["clock"]): void {
    this.#isSwept = true;
    const sweep = (): void => {
      const nowMs = clock.nowMs();
      for (const [key, stream] of this.#streams) if (!stream.expire(nowMs)) this.#streams.delete(key);
      for (const [key, { untilMs }] of this.cursors) if (untilMs <= nowMs) this.cursors.delete(key);
      this.#isSwept = false;
      if (this.#streams.size > 0 && this.buses.size > 0) this.#sweepLater(clock);
    };
    clock.after(sweepMs, sweep, false);
  }
}

/**
 * A bus that ends at this process: what is kept is lost with it.
 *
 * @param store Default: one of its own, so that its hub is the only node
 */
export function memoryBus(store?: MemoryStore): Bus {
  return new MemoryBus(store ?? new MemoryStore(), store !== undefined);
}

class MemoryBus implements Bus {
  readonly name = "memory";
  readonly maxMessageBytes = Number.POSITIVE_INFINITY;
  readonly isShared: boolean;
  readonly ignoresSignal = true;
  readonly #store: MemoryStore;
  readonly #rooms = new Set<string>();
  #node: BusNode | undefined;
  #isClosed = false;

  constructor(store: MemoryStore, isShared: boolean) {
    this.#store = store;
    this.isShared = isShared;
  }

  async start(node: BusNode): Promise<void> {
    if (this.#node !== undefined && !this.#isClosed)
      throw new SetupError("Hub: the option bus is the bus of another hub already");
    this.#node = node;
    this.#isClosed = false;
    this.#store.buses.add(this);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#store.buses.delete(this);
    this.#rooms.clear();
  }

  async publish({ room, publication, history, dedupeMs }: BusPublication): Promise<BusReceipt> {
    const node = this.#open();
    const nowMs = node.clock.nowMs();
    const { id, ttlMs } = publication;
    const untilMs = ttlMs === undefined ? undefined : nowMs + ttlMs;
    if (history === undefined) {
      this.#tell(room, { publication, position: undefined, untilMs });
      return { position: undefined, duplicate: false };
    }
    const stream = this.#store.open(this.#key(room), node);
    const first = dedupeMs > 0 ? stream.ids.find(id, nowMs) : undefined;
    if (first !== undefined) return { position: first, duplicate: true };
    const position = stream.next();
    if (dedupeMs > 0) stream.ids.add(id, position, nowMs, dedupeMs);
    const entry = { publication, position, untilMs };
    stream.keep(entry, history, nowMs);
    this.#tell(room, entry);
    return { position, duplicate: false };
  }

  async subscribe(rooms: readonly string[]): Promise<void> {
    this.#open();
    for (const room of rooms) this.#rooms.add(room);
  }

  async unsubscribe(rooms: readonly string[]): Promise<void> {
    for (const room of rooms) this.#rooms.delete(room);
  }

  async read(room: string, after: Position | undefined, limit: number): Promise<BusPage> {
    const node = this.#open();
    return this.#store.open(this.#key(room), node).read(after, limit, node.clock.nowMs());
  }

  async tops(rooms: readonly RoomSeen[]): Promise<readonly Position[]> {
    const node = this.#open();
    return rooms.map(({ room }) => this.#store.open(this.#key(room), node).top);
  }

  async cast(to: string, frame: Uint8Array): Promise<void> {
    this.#open();
    for (const { id, node } of this.#peers()) if (to === "all" || to === id) node.frame(frame);
  }

  async cursor(key: string, set?: Position, ttlMs = Number.POSITIVE_INFINITY): Promise<Position | undefined> {
    const { cursors } = this.#store;
    const own = this.#key(key);
    const nowMs = this.#open().clock.nowMs();
    if (set !== undefined) cursors.set(own, { position: set, untilMs: nowMs + ttlMs });
    const found = cursors.get(own);
    return found !== undefined && found.untilMs > nowMs ? found.position : undefined;
  }

  async clear(room: string): Promise<void> {
    const own = this.#open();
    const stream = this.#store.open(this.#key(room), own);
    stream.clear(own.clock.nowMs());
    for (const { bus, node } of this.#peers())
      if (bus.#rooms.has(room)) node.begun(room, stream.top, "CLEARED");
  }

  #tell(room: string, entry: RoomEntry): void {
    for (const { bus, node } of this.#peers()) if (bus.#rooms.has(room)) node.published(room, entry);
  }

  /** The nodes of the same name, this one too. */
  *#peers(): Iterable<{ readonly id: string; readonly bus: MemoryBus; readonly node: BusNode }> {
    for (const bus of this.#store.buses) {
      const node = bus.#node;
      if (node !== undefined && node.name === this.#node?.name) yield { id: node.id, bus, node };
    }
  }

  #key(room: string): string {
    return `${this.#node?.name} ${room}`;
  }

  #open(): BusNode {
    if (this.#node !== undefined && !this.#isClosed) return this.#node;
    throw new ConnectError("the hub has stopped", Code.Unavailable);
  }
}
