/** The attributes of a message, as CloudEvents 1.0.2 has them. */
export interface CloudEvent {
  /** Unique for its `source`. */
  readonly id: string;
  /** A URI reference. */
  readonly source: string;
  readonly type: string;
  /** Undefined for none. */
  readonly subject: string | undefined;
  /** When it happened, in milliseconds since 1970; undefined for none. */
  readonly timeMs: number | undefined;
  /** All others, by their names in lower case: `partitionkey`, `expirytime`, `traceparent`, `correlationid` … */
  readonly extensions: ReadonlyMap<string, string>;
}

/** The body of a message, and what is needed to read it. */
export interface EventData {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** Undefined for none, which is not a body of length 0. */
  readonly body: Uint8Array | undefined;
}

/** A message as a broker hands it over, as far as it says what event it is. */
export interface RawMessage extends EventData {
  readonly headers: readonly (readonly [name: string, value: unknown])[];
}

/** What a message that came from a broker is. */
export type ReadEvent =
  | {
      readonly kind: "event";
      readonly event: CloudEvent;
      readonly data: EventData;
      /** Headers besides the attributes, by names in lower case. */
      readonly headers: ReadonlyMap<string, string>;
    }
  /** It has no attribute at all: a producer that does not know CloudEvents has sent it. */
  | { readonly kind: "untyped"; readonly data: EventData; readonly headers: ReadonlyMap<string, string> }
  /** It is no event, although it has attributes; `why` is for people, and has no full stop. */
  | { readonly kind: "undecodable"; readonly why: string; readonly headers: ReadonlyMap<string, string> };

/** The only version that is written and read. */
export const specVersion = "1.0";

/**
 * The attributes of an event for the binary mode, as texts: names without a prefix, `specversion` first. A broker adds
 * its prefix, and encodes the values where its binding asks for that.
 */
export function attributesOf(event: CloudEvent): [name: string, value: string][] {
  const attributes: [string, string][] = [];
  eachAttribute(event, (name, value) => attributes.push([name, value]));
  return attributes;
}

/** Calls a function with each attribute that `attributesOf` has, in its order. */
export function eachAttribute(event: CloudEvent, take: (name: string, value: string) => void): void {
  const { id, source, type, subject, timeMs, extensions } = event;
  take("specversion", specVersion);
  take("id", id);
  take("source", source);
  take("type", type);
  if (subject !== undefined) take("subject", subject);
  if (timeMs !== undefined) take("time", timeText(timeMs));
  if (extensions.size === 0) return;
  for (const [name, value] of extensions) take(name, value);
}

let lastMs = Number.NaN;
let lastText = "";

/** The attribute `time`. Many messages are made in one millisecond. */
export function timeText(ms: number): string {
  if (ms !== lastMs) {
    lastText = new Date(ms).toISOString();
    lastMs = ms;
  }
  return lastText;
}

/** The event with these attributes, or what is wrong with them. */
export function eventFrom(attributes: ReadonlyMap<string, string>): CloudEvent | string {
  const read = new ReadAttributes();
  for (const [name, value] of attributes) read.add(name, value);
  return read.toEvent();
}

/** The attributes of a message as they are read, one after the other, with names in lower case. */
export class ReadAttributes {
  /** Whether there is none. */
  isEmpty = true;
  specversion: string | undefined = undefined;
  id: string | undefined = undefined;
  source: string | undefined = undefined;
  type: string | undefined = undefined;
  subject: string | undefined = undefined;
  time: string | undefined = undefined;
  /** No extension either: the content type of the message says the same. */
  datacontenttype: string | undefined = undefined;
  readonly #extensions = new Map<string, string>();

  /** @returns whether it was not there yet */
  add(name: string, value: string): boolean {
    this.isEmpty = false;
    let before: string | undefined;
    // Each by its name: a name that is read from a message is looked up slowly.
    switch (name) {
      case "specversion":
        [before, this.specversion] = [this.specversion, value];
        break;
      case "id":
        [before, this.id] = [this.id, value];
        break;
      case "source":
        [before, this.source] = [this.source, value];
        break;
      case "type":
        [before, this.type] = [this.type, value];
        break;
      case "subject":
        [before, this.subject] = [this.subject, value];
        break;
      case "time":
        [before, this.time] = [this.time, value];
        break;
      case "datacontenttype":
        [before, this.datacontenttype] = [this.datacontenttype, value];
        break;
      default:
        before = this.#extensions.get(name);
        this.#extensions.set(name, value);
    }
    return before === undefined;
  }

  /** The event with these attributes, or what is wrong with them. */
  toEvent(): CloudEvent | string {
    const { specversion, id, source, type, subject, time } = this;
    if (!specversion || !id || !source || !type) {
      const missing = (["specversion", "id", "source", "type"] as const).filter((name) => !this[name]);
      return `it has attributes of CloudEvents, but not ${missing.join(", ")}`;
    }
    if (specversion !== specVersion) {
      return `its specversion is ${JSON.stringify(specversion.slice(0, 40))}: ${specVersion} can be read`;
    }
    const timeMs = time === undefined ? Number.NaN : parsedTime(time);
    return {
      id,
      source,
      type,
      subject: subject || undefined,
      timeMs: Number.isNaN(timeMs) ? undefined : timeMs,
      extensions: this.#extensions,
    };
  }
}

let parsedText = "";
let parsedMs = Number.NaN;

/** Many messages were made in one millisecond. */
function parsedTime(text: string): number {
  if (text !== parsedText) {
    parsedMs = Date.parse(text);
    parsedText = text;
  }
  return parsedMs;
}
