import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { CallGroup, type CallOrigin } from "../call-group.ts";
import type { FaceCall } from "../face-call.ts";
import type { Contract, Face, FaceHost } from "../face.ts";
import { errorText, readMessage, resultText, resultWithList, type RpcMessage } from "./json-rpc.ts";
import { RpcError, rpcCodes } from "./rpc-error.ts";
import { acknowledgement, askedChanges, notification } from "./listen.ts";
import { changes, type Listener, Listeners } from "./listeners.ts";
import type { McpOptions } from "./mcp-options.ts";
import { McpContract } from "./mcp-contract.ts";
import { McpServer } from "./mcp-server.ts";
import { mcpOptions } from "./mcp.ts";
import { progressText } from "./progress.ts";
import { checkMeta, isModern, metaNames, revisionInMeta } from "./versions.ts";

/** A face that is reached by a pair of streams, such as stdin and stdout. */
export interface McpStdio {
  /** To be handed to the server whose rpcs it calls. */
  readonly face: Face;
  /** Answers the messages of `input`, a line each, until it ends; lines of answers go to `output`. Never rejects. */
  serve(input: Readable, output: Writable): Promise<void>;
}

/** The longest line, in bytes. */
const maxLineBytes = 4 * 1024 * 1024;
const newLine = 0x0a;

/**
 * MCP over standard streams.
 *
 * @throws SetupError naming the option that is wrong
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
 */
export function mcpStdio(options: Partial<McpOptions> = {}): McpStdio {
  const merged = mcpOptions(options);
  const listeners = new Listeners(merged.maxListeners, 0);
  let current: McpServer | undefined;
  let derived: McpServer | undefined;
  const mount = (host: FaceHost): ReturnType<Face["mount"]> => ({
    use(contract: Contract) {
      derived = new McpServer(new McpContract(contract, merged, host), merged, host);
      return new Map();
    },
    adopt() {
      current = derived;
      listeners.changed();
    },
    describe: () => [],
  });
  return {
    face: { name: "mcp", paths: [], mount },
    async serve(input, output) {
      if (current === undefined) throw new TypeError("the face has no server yet");
      await new Session(() => current, listeners, output).run(input);
    },
  };
}

/** The request of all calls: none of HTTP. */
const origin: CallOrigin = {
  head: { method: "POST", url: "/mcp", headers: {} },
  isSecure: false,
  remoteAddress: undefined,
  peer: undefined,
  cookies: null,
};

/** The messages of one client. */
class Session {
  readonly #server: () => McpServer | undefined;
  readonly #listeners: Listeners;
  readonly #output: Writable;
  readonly #calls = CallGroup.ofSocket(origin);
  /** What ends a request that is under way, by its id. */
  readonly #open = new Map<string, { cancelled: boolean; cancel: () => void }>();
  #written: Promise<unknown> = Promise.resolve();

  constructor(server: () => McpServer | undefined, listeners: Listeners, output: Writable) {
    this.#server = server;
    this.#listeners = listeners;
    this.#output = output;
  }

  async run(input: Readable): Promise<void> {
    let parts: Buffer[] = [];
    let size = 0;
    const ended = once(this.#output, "close").then(() => input.destroy());
    ended.catch(nothing);
    try {
      for await (const chunk of input as AsyncIterable<Buffer | string>) {
        let rest = Buffer.from(chunk);
        for (let end = rest.indexOf(newLine); end !== -1; end = rest.indexOf(newLine)) {
          parts.push(rest.subarray(0, end));
          rest = rest.subarray(end + 1);
          this.#line(size > maxLineBytes ? undefined : Buffer.concat(parts));
          parts = [];
          size = 0;
        }
        size += rest.length;
        if (size <= maxLineBytes) parts.push(rest);
        else parts = [];
      }
    } catch {
      // The client has gone.
    }
    this.#calls.abort(new ConnectError("the input has ended", Code.Canceled));
    await this.#written;
  }

  /** @param bytes undefined for a line that is too long */
  #line(bytes: Buffer | undefined): void {
    let message: RpcMessage | undefined;
    try {
      if (bytes === undefined)
        throw new RpcError(rpcCodes.invalidRequest, `a message may have ${maxLineBytes} bytes`);
      if (bytes.toString("latin1").trim() === "") return;
      message = readMessage(bytes);
      this.#begin(message);
    } catch (reason) {
      this.#refuse(message, reason);
    }
  }

  #begin(message: RpcMessage): void {
    const { id, method, params } = message;
    if (method === "notifications/cancelled") {
      const asked = params.get("requestId")?.text ?? "";
      const open = this.#open.get(asked);
      if (open !== undefined) {
        open.cancelled = true;
        open.cancel();
      }
      return;
    }
    if (id === undefined || method === undefined) return;
    if (this.#open.has(id))
      throw new RpcError(rpcCodes.invalidRequest, "a request with this id is under way");
    const revision = revisionInMeta(message);
    checkMeta(message, revision);
    if (method === "subscriptions/listen" && isModern(revision)) this.#listen(id, message);
    else void this.#answer(id, message, revision);
  }

  /** Never rejects. */
  async #answer(id: string, message: RpcMessage, revision: ReturnType<typeof revisionInMeta>): Promise<void> {
    const server = this.#server();
    if (server === undefined) return;
    const request = { cancelled: false, cancel: nothing };
    this.#open.set(id, request);
    const progressOf = progressText(message);
    try {
      const { result, list, error } = await server.answer({
        message,
        revision,
        from: this.#calls,
        began({ context }: FaceCall) {
          request.cancel = () =>
            context.abort(new ConnectError("the client cancelled the request", Code.Canceled));
          if (request.cancelled) request.cancel();
        },
        checkHeaders: nothing,
        progress: progressOf && ((done) => this.#write(progressOf(done))),
      });
      if (request.cancelled) return;
      if (result === "" && error !== undefined) throw new RpcError(rpcCodes.invalidRequest, error.rawMessage);
      void this.#write(
        list === undefined ? resultText(id, result) : resultWithList(id, result, list).toString(),
      );
    } catch (reason) {
      if (!request.cancelled) this.#refuse(message, reason);
    } finally {
      this.#open.delete(id);
    }
  }

  #listen(id: string, message: RpcMessage): void {
    const asked = askedChanges(message);
    this.#listeners.checkRoom();
    const meta = `"${metaNames.subscription}":${id}`;
    const listener: Listener = {
      asked,
      notify: (change) => void this.#write(notification(changes[change], `"_meta":{${meta}}`)),
      beat: nothing,
      end: () => Promise.resolve(),
    };
    this.#listeners.add(listener);
    this.#open.set(id, {
      cancelled: false,
      cancel: () => {
        this.#listeners.delete(listener);
        this.#open.delete(id);
      },
    });
    void this.#write(acknowledgement(asked, meta));
  }

  #refuse(message: RpcMessage | undefined, reason: unknown): void {
    const error =
      reason instanceof RpcError ? reason : new RpcError(rpcCodes.internal, "an internal error has occurred");
    void this.#write(errorText(message?.id, error));
  }

  /** Writes a line. Resolves when more may follow. */
  #write(text: string): Promise<void> {
    const written = new Promise<void>((resolve) => {
      this.#output.write(`${text}\n`, () => resolve());
    });
    this.#written = written;
    return written;
  }
}

function nothing(): void {}
