import { request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";

/** A streamed answer as its client sees it. */
export interface StreamReply {
  readonly request: ClientRequest;
  readonly response: IncomingMessage;
  /** What has come so far. */
  readonly text: () => string;
  /** Resolves as soon as `enough` holds for what has come, or it can never hold; rejects after a while. */
  readonly until: (enough: (text: string) => boolean) => Promise<string>;
  /** Resolves when the answer is over: whether it came whole. */
  readonly over: Promise<"complete" | "cut">;
}

/** Options of `openStream`. */
export interface StreamRequest {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  /** The whole body; undefined leaves the request open for `request.write`. */
  readonly body?: string | Buffer | undefined;
  /** Called with the request before the answer is there. */
  readonly onRequest?: (request: ClientRequest) => void;
  /** Whether the answer is read from the beginning. Default: true. */
  readonly read?: boolean;
}

const patienceMs = 20_000;

/** Sends a request on a connection of its own; resolves with the head of the answer. */
export function openStream(url: string, options: StreamRequest = {}): Promise<StreamReply> {
  const { method = "GET", headers = {}, read = true } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent: false });
    request.on("error", reject);
    request.on("response", (response) => resolve(replyOf(request, response, read)));
    if (method === "GET" || method === "HEAD" || "body" in options) request.end(options.body);
    else request.flushHeaders();
    options.onRequest?.(request);
  });
}

function replyOf(request: ClientRequest, response: IncomingMessage, read: boolean): StreamReply {
  let text = "";
  let closed = false;
  const waiters = new Set<() => void>();
  const wake = (): void => {
    for (const waiter of [...waiters]) waiter();
  };
  response.setEncoding("utf8");
  response.on("error", () => {});
  if (read) {
    response.on("data", (chunk: string) => {
      text += chunk;
      wake();
    });
  }
  const over = new Promise<"complete" | "cut">((resolve) => {
    response.on("close", () => {
      closed = true;
      wake();
      resolve(response.complete ? "complete" : "cut");
    });
  });
  const until = (enough: (text: string) => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`not within ${patienceMs} ms, only ${JSON.stringify(text.slice(-500))}`));
      }, patienceMs);
      const look = (): void => {
        if (!enough(text) && !closed) return;
        clearTimeout(timer);
        waiters.delete(look);
        if (enough(text)) resolve(text);
        else reject(new Error(`the answer is over, only ${JSON.stringify(text.slice(-500))} came`));
      };
      waiters.add(look);
      look();
    });
  return { request, response, text: () => text, until, over };
}

/** The whole text of an answer, and whether it came whole. */
export async function readAll(reply: StreamReply): Promise<{ text: string; end: "complete" | "cut" }> {
  const end = await reply.over;
  return { text: reply.text(), end };
}

/** The events of an event stream, as a browser would read them. */
export function eventsOf(text: string): { event: string; data: string; id: string | undefined }[] {
  const events: { event: string; data: string; id: string | undefined }[] = [];
  let id: string | undefined;
  for (const block of text.split(/(?:\r\n|\r|\n){2}/)) {
    let event = "message";
    const data: string[] = [];
    for (const line of block.split(/\r\n|\r|\n/)) {
      const [, name = "", value = ""] = /^([^:]*)(?:: ?)?(.*)$/.exec(line) ?? [];
      if (name === "event") event = value;
      else if (name === "data") data.push(value);
      else if (name === "id" && !value.includes("\0")) id = value;
    }
    if (data.length > 0) events.push({ event, data: data.join("\n"), id });
  }
  return events;
}
