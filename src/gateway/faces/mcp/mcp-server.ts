import type { JsonObject } from "@bufbuild/protobuf";
import type { Comments } from "../../../core/contract/comments.ts";
import { Code, type ConnectError } from "../../../core/errors/errors.ts";
import { nearestName } from "../../../core/errors/nearest-name.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import type { CallGroup } from "../call-group.ts";
import type { FaceCall } from "../face-call.ts";
import type { Contract, FaceHost } from "../face.ts";
import { inSlices } from "../in-slices.ts";
import type { HeaderArgument } from "./headers.ts";
import { listPlace, type RawJson, type RpcMessage, textParam } from "./json-rpc.ts";
import { RpcError, rpcCodes } from "./rpc-error.ts";
import type { McpContract } from "./mcp-contract.ts";
import type { McpOptions } from "./mcp-options.ts";
import { contentsOf, Resources } from "./resources.ts";
import { Results } from "./results.ts";
import type { RpcTool, ShownRpcs } from "./rpc-tool.ts";
import { type ToolOutcome, type ToolRunner, toolRunner } from "./tool-runner.ts";
import { initializeVersion, isModern, type Revision, supportedVersions } from "./versions.ts";

/** A request on its way to an answer. */
export interface Asked {
  readonly message: RpcMessage;
  readonly revision: Revision;
  readonly from: HttpExchange | CallGroup;
  /** Is told of the call once it has begun, to cancel it. */
  readonly began: (call: FaceCall) => void;
  /** Looks at arguments that headers repeat. */
  readonly checkHeaders: (expected: readonly HeaderArgument[], args: RawJson | undefined) => void;
  /** Is told of each message of a stream, where the client wants to know. */
  readonly progress: ((count: number) => Promise<void> | undefined) | undefined;
}

/** An answer: a result in JSON, and the error of the rpc that it holds or that takes its place. */
export interface Answered {
  readonly result: string;
  /** The elements of a list in JSON, which belong where `listPlace` is; undefined where the result is whole. */
  readonly list?: Buffer | undefined;
  readonly outcome: "ok" | "failed";
  /** Of the rpc; undefined where it has none. */
  readonly error: ConnectError | undefined;
}

/** The elements of lists, in JSON. */
interface Lists {
  readonly tools: Buffer;
  readonly resources: Buffer;
  readonly templates: Buffer;
}

/** Tools and resources of one contract: answers requests of clients, whatever they came by. */
export class McpServer {
  readonly #contract: Contract;
  readonly #host: FaceHost;
  readonly #options: McpOptions;
  readonly #shown: ShownRpcs;
  readonly #resources: Resources;
  readonly #results: Results;
  readonly #serverInfo: string;
  readonly #name: string;
  readonly #tools: ReadonlyMap<string, RpcTool>;
  readonly #runners = new Map<string, ToolRunner>();
  #lists: Promise<Lists> | undefined;

  constructor(known: McpContract, options: McpOptions, host: FaceHost) {
    this.#contract = known.contract;
    this.#host = host;
    this.#options = options;
    this.#shown = known.shown;
    this.#name = options.name ?? usualName(this.#shown);
    this.#serverInfo = JSON.stringify({ name: this.#name, version: options.version });
    this.#resources = new Resources(known, schemeOf(this.#name));
    this.#results = new Results(this.#serverInfo, host.errors);
    this.#tools = known.tools;
  }

  /** The result of a request that holds nothing else. */
  emptyResult(revision: Revision, meta: string): string {
    return this.#results.of(revision, "", meta);
  }

  /**
   * Answers a request, but `subscriptions/listen`.
   *
   * @throws RpcError, by which it rejects
   */
  async answer(asked: Asked): Promise<Answered> {
    const { message, revision } = asked;
    const modern = isModern(revision);
    switch (message.method) {
      case "tools/call":
        return this.#call(asked);
      case "tools/list":
        checkCursor(message);
        return this.#list(revision, "tools", ({ tools }) => tools);
      case "resources/list":
        checkCursor(message);
        return this.#list(revision, "resources", ({ resources }) => resources);
      case "resources/templates/list":
        checkCursor(message);
        return this.#list(revision, "resourceTemplates", ({ templates }) => templates);
      case "resources/read":
        return this.#read(asked);
      case "server/discover":
        if (modern) return this.#good(revision, `${this.#discovery()},${this.#caching()}`);
        break;
      case "initialize":
        if (!modern) return this.#good(revision, this.#initialized(message));
        break;
      case "ping":
        if (!modern) return this.#good(revision, "");
        break;
      default:
    }
    throw unknownMethod(message.method, modern);
  }

  /** All lists: they are made of the same comments. */
  async #listTexts(): Promise<Lists> {
    // When a list is first asked for.
    const { toolTexts } = await import("./tool-list.ts");
    const comments: Comments = await this.#contract.comments();
    const tools = await inSlices(toolTexts(this.#shown, comments, this.#host, this.#options));
    return {
      tools: await inSlices(bytesOf(tools)),
      resources: await inSlices(bytesOf(this.#resources.texts(comments))),
      templates: await inSlices(bytesOf(this.#resources.templateTexts(comments))),
    };
  }

  async #list(revision: Revision, name: string, choose: (lists: Lists) => Buffer): Promise<Answered> {
    let made = this.#lists;
    if (made === undefined) {
      this.#lists = made = this.#listTexts();
      made.catch(() => (this.#lists = undefined)); // The next request tries again.
    }
    const list = choose(await made);
    const members = `"${name}":[${listPlace}]`;
    const answered = this.#good(revision, isModern(revision) ? `${members},${this.#caching()}` : members);
    return { ...answered, list };
  }

  async #call(asked: Asked): Promise<Answered> {
    const { message, revision, from, began, progress } = asked;
    const name = textParam(message.params, "name");
    const tool = this.#tools.get(name);
    if (tool === undefined) throw this.#unknownTool(name);
    const args = message.params.get("arguments");
    if (args !== undefined && !args.isObject)
      throw new RpcError(rpcCodes.invalidParams, '"arguments" is an object', 400);
    if (tool.headers.length > 0) asked.checkHeaders(tool.headers, args);
    let run = this.#runners.get(name);
    if (run === undefined) {
      const rpc = this.#contract.rpc(tool.method, "mcp");
      const uri = `${schemeOf(this.#name)}://tools/${name}`;
      run = toolRunner(rpc, (field) => this.#shown.has(field), this.#options, uri);
      this.#runners.set(name, run);
    }
    return this.#toAnswer(revision, await run({ from, args, began, progress }));
  }

  #toAnswer(revision: Revision, outcome: ToolOutcome): Answered {
    const results = this.#results;
    switch (outcome.kind) {
      case "object":
        return { result: results.structured(revision, outcome.json), outcome: "ok", error: undefined };
      case "content":
        return { result: results.content(revision, outcome.content), outcome: "ok", error: undefined };
      case "refused":
        return { result: results.refusal(revision, outcome.text), outcome: "failed", error: undefined };
      case "failed": {
        const { error } = outcome;
        return { result: results.failure(revision, error), outcome: "failed", error };
      }
    }
  }

  async #read({ message, revision, from, began }: Asked): Promise<Answered> {
    const uri = textParam(message.params, "uri");
    const outcome = await this.#resources.read(uri, from, began);
    switch (outcome.kind) {
      case "contents": {
        const contents = `"contents":[${JSON.stringify(contentsOf(uri, outcome.contents))}]`;
        const caching = isModern(revision) ? ',"ttlMs":0,"cacheScope":"private"' : "";
        return this.#good(revision, contents + caching);
      }
      case "unknown":
        throw noResource(uri, revision, outcome.problem);
      case "failed": {
        const { error } = outcome;
        if (error.code === Code.NotFound) throw noResource(uri, revision, error.rawMessage);
        if (isRefusal(error)) return { result: "", outcome: "failed", error };
        const data: JsonObject = { status: this.#results.statusOf(error) };
        const code = error.code === Code.InvalidArgument ? rpcCodes.invalidParams : rpcCodes.internal;
        throw new RpcError(code, this.#results.errorText(error), 200, data);
      }
    }
  }

  #good(revision: Revision, members: string): Answered {
    return { result: this.#results.of(revision, members), outcome: "ok", error: undefined };
  }

  #unknownTool(name: string): RpcError {
    const known = nearestName(name, this.#tools.keys());
    const hint = known === undefined ? "" : `: did you mean ${known}?`;
    const status = name.length > longestName ? 400 : 200;
    return new RpcError(rpcCodes.invalidParams, `there is no tool ${shown(name)}${hint}`, status);
  }

  #caching(): string {
    // Who may see the server at all is decided by its guard.
    const scope = this.#options.guard === undefined ? "public" : "private";
    return `"ttlMs":${this.#options.listTtlMs},"cacheScope":"${scope}"`;
  }

  #capabilities(listChanged: boolean): JsonObject {
    const capability = listChanged ? { listChanged } : {};
    return { tools: capability, ...(this.#options.resources && { resources: capability }) };
  }

  #discovery(): string {
    const { instructions } = this.#options;
    const members = {
      supportedVersions: [...supportedVersions],
      capabilities: this.#capabilities(true),
      ...(instructions !== undefined && { instructions }),
    };
    return JSON.stringify(members).slice(1, -1);
  }

  #initialized({ params }: RpcMessage): string {
    const { instructions } = this.#options;
    const members = {
      protocolVersion: initializeVersion(params.get("protocolVersion")?.value),
      capabilities: this.#capabilities(false),
      serverInfo: JSON.parse(this.#serverInfo) as JsonObject,
      ...(instructions !== undefined && { instructions }),
    };
    return JSON.stringify(members).slice(1, -1);
  }
}

/** About how many characters become bytes in one step. */
const stepLength = 65_536;

/** Elements of a list as they stand in JSON, as bytes: in steps, for there may be megabytes of them. */
function* bytesOf(elements: readonly string[]): Generator<void, Buffer> {
  const parts: Buffer[] = [];
  let text = "";
  for (const [at, element] of elements.entries()) {
    text += at === 0 ? element : `,${element}`;
    if (text.length < stepLength) continue;
    parts.push(Buffer.from(text));
    text = "";
    yield;
  }
  parts.push(Buffer.from(text));
  return Buffer.concat(parts);
}

/** Longest name of a tool that is repeated in an error. */
const longestName = 1024;

function shown(name: string): string {
  return JSON.stringify(name.length <= 64 ? name : `${name.slice(0, 64)}…`);
}

function usualName({ services }: ShownRpcs): string {
  const name = services[0]?.name.replace(/(?<=.)Service$/, "").toLowerCase() ?? "";
  return name === "" ? "ts-ms" : name;
}

/** The scheme of URIs (RFC 3986): what is none of its letters becomes a dash. */
function schemeOf(name: string): string {
  const scheme = name.toLowerCase().replaceAll(/[^a-z\d+.-]+/g, "-");
  return /^[a-z]/.test(scheme) ? scheme : `x-${scheme}`;
}

function unknownMethod(method: string | undefined, modern: boolean): RpcError {
  const text = `there is no method ${JSON.stringify(method ?? "")}`;
  return new RpcError(rpcCodes.methodNotFound, text, modern ? 404 : 200);
}

function noResource(uri: string, revision: Revision, problem: string): RpcError {
  const code = isModern(revision) ? rpcCodes.invalidParams : rpcCodes.resourceNotFound;
  return new RpcError(code, `there is no resource ${shown(uri)}: ${problem}`, 200, {
    uri: uri.slice(0, 1024),
  });
}

/** Lists are given whole: there is no next part of one. */
function checkCursor({ params }: RpcMessage): void {
  if (params.has("cursor")) throw new RpcError(rpcCodes.invalidParams, "there is no such cursor", 200);
}

/** Whether an error says that credentials are missing, or not enough. */
export function isRefusal(error: ConnectError): boolean {
  return (
    error.code === Code.Unauthenticated ||
    (error.code === Code.PermissionDenied &&
      (error.metadata.get("www-authenticate") ?? "").includes("insufficient_scope"))
  );
}
