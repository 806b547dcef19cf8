/** Position and number of each message as JSON has them. */
export const inJson = /"id":"(\w+\.\d+)","text":"[^"]*?(\d{10})"/g;

/** The same as protobuf has them: the text is 45 bytes long. */
export const inProtobuf = /(\w{8}\.\d+)\x12-[ -~]{35}(\d{10})/g;

/** The most that is kept of what ends amid a message, in characters. */
const longestRest = 512;

/**
 * A client that follows a room from its first message on, and comes back behind the position of the last one that it has:
 * it has to get every number once and in order, however often its connection is lost.
 */
export abstract class HubReader {
  /** How many messages it has got. */
  received = 0;
  /** How often it has come back. */
  returns = 0;
  /** The first error; undefined for none. */
  problem: string | undefined;
  protected readonly port: number;
  protected readonly room: string;
  /** Of the last message; undefined before the first one. */
  protected position: string | undefined;
  /** Whether nothing is read behind the begin of the answer. */
  protected readonly stalls: boolean;
  readonly #pattern: RegExp;
  readonly #count: number;
  #rest = "";
  /** Number of the connection: what comes by an older one is of no interest. */
  #link = 0;

  /** @param count how many messages are published */
  protected constructor(port: number, room: string, count: number, stalls: boolean, pattern: RegExp) {
    this.port = port;
    this.room = room;
    this.stalls = stalls;
    this.#count = count;
    this.#pattern = pattern;
  }

  /** Connects, behind its position. */
  open(): void {
    this.#rest = "";
    this.connect(++this.#link);
  }

  /** Loses its connection and connects again, if it has a position. */
  comeBack(): void {
    if (this.position === undefined || this.problem !== undefined) return;
    this.returns++;
    this.close();
    this.open();
  }

  /** Loses its connection. */
  close(): void {
    this.#link++;
    this.disconnect();
  }

  /** @param link to be given to `read` and `lost` */
  protected abstract connect(link: number): void;
  protected abstract disconnect(): void;

  /** Text that has come. */
  protected read(link: number, chunk: string): void {
    if (link !== this.#link) return;
    const text = this.#rest + chunk;
    let end = 0;
    for (const match of text.matchAll(this.#pattern)) {
      end = match.index + match[0].length;
      this.#got(match[1] ?? "", Number(match[2]));
    }
    this.#rest = text.slice(Math.max(end, text.length - longestRest));
  }

  /** The connection has failed, or was closed by the server. */
  protected lost(link: number, why: string): void {
    if (link === this.#link) this.problem ??= why;
  }

  protected isCurrent(link: number): boolean {
    return link === this.#link;
  }

  #got(position: string, number: number): void {
    this.position = position;
    if (number !== ++this.received) {
      this.problem ??= `message ${number} came where ${this.received} was due`;
    } else if (!position.endsWith(`.${number}`))
      this.problem ??= `message ${number} has the position ${position}`;
    else if (this.received > this.#count) this.problem ??= "more messages than there are";
  }
}
