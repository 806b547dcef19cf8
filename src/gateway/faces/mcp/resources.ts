import type { JsonObject, Message } from "@bufbuild/protobuf";
import type { Comments } from "../../../core/contract/comments.ts";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { type Binder, compileBinder } from "../../binding/bind.ts";
import { compileReplyBody, repliesRawBody } from "../../binding/http-body.ts";
import { jsonTextEncoder } from "../../binding/reply-encoder.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import type { CallGroup } from "../call-group.ts";
import type { FaceCall, FaceRpc } from "../face-call.ts";
import type { Contract } from "../face.ts";
import { PathTexts } from "../path-text.ts";
import { shownMessage } from "../shown-message.ts";
import type { McpContract } from "./mcp-contract.ts";
import { faceOf, type ShownRpcs } from "./rpc-tool.ts";

/** A route whose path alone makes the request of a safe unary rpc. */
interface Resource {
  readonly route: Route;
  /** The path as a template of URIs, without its first slash. */
  readonly path: string;
  readonly hasVariables: boolean;
}

/** What a resource holds. */
export interface ResourceContents {
  readonly mimeType: string;
  /** Its text; undefined where it is bytes. */
  readonly text: string | undefined;
  readonly bytes: Uint8Array | undefined;
}

/** Outcome of reading a URI. */
export type ReadOutcome =
  | { readonly kind: "contents"; readonly contents: ResourceContents }
  /** No resource has the URI. */
  | { readonly kind: "unknown"; readonly problem: string }
  | { readonly kind: "failed"; readonly error: ConnectError };

/** The resources of a contract. */
export class Resources {
  readonly #contract: Contract;
  readonly #shown: ShownRpcs;
  readonly #scheme: string;
  readonly #resources: readonly Resource[];
  readonly #byRoute: ReadonlyMap<Route, Resource>;
  readonly #readers = new Map<Route, Reader>();

  /** @param scheme of the URIs: the name of the server */
  constructor({ contract, shown, resources }: McpContract, scheme: string) {
    this.#contract = contract;
    this.#shown = shown;
    this.#scheme = scheme;
    this.#resources = resourcesOf(resources);
    this.#byRoute = new Map(this.#resources.map((one) => [one.route, one]));
  }

  /** Those without variables in JSON, a text each. */
  texts(comments: Comments): readonly string[] {
    return this.#described(comments, false, "uri");
  }

  /** Those with variables in JSON, a text each. */
  templateTexts(comments: Comments): readonly string[] {
    return this.#described(comments, true, "uriTemplate");
  }

  /** Reads a resource as a GET of its path would. Never rejects. @param began is told of the call, to cancel it */
  async read(
    uri: string,
    from: HttpExchange | CallGroup,
    began: (call: FaceCall) => void,
  ): Promise<ReadOutcome> {
    const start = `${this.#scheme}://`;
    if (!uri.startsWith(start))
      return { kind: "unknown", problem: `URIs of this server begin with ${start}` };
    const target = `/${uri.slice(start.length)}`;
    if (!/^[\x21-\x7e]*$/.test(target))
      return { kind: "unknown", problem: "the URI has letters that URIs have not" };
    const match = this.#contract.router.match("GET", target);
    if (match.kind === "bad-path") return { kind: "unknown", problem: match.error.rawMessage };
    const route = match.kind === "found" ? match.route : undefined;
    if (route === undefined || match.kind !== "found" || !this.#byRoute.has(route)) {
      return { kind: "unknown", problem: "no resource has this URI" };
    }
    let reader = this.#readers.get(route);
    if (reader === undefined) {
      reader = compileReader(route, this.#contract.rpc(route.method, "mcp"), this.#shown);
      this.#readers.set(route, reader);
    }
    return reader({ captures: match.captures, query: match.query }, from, began);
  }

  #described(comments: Comments, hasVariables: boolean, member: string): readonly string[] {
    const names = new Set<string>();
    return this.#resources
      .filter((one) => one.hasVariables === hasVariables)
      .map(({ route, path }) => {
        const { method } = route;
        const usual = this.#shown.namer.snake(method);
        let name = usual;
        for (let number = 2; names.has(name); number++) name = `${usual}_${number}`;
        names.add(name);
        const { text } = comments.of(method);
        const title = faceOf(method)?.title ?? "";
        return JSON.stringify({
          [member]: `${this.#scheme}://${path}`,
          name,
          ...(title !== "" && { title }),
          ...(text !== "" && { description: text }),
          ...(!repliesRawBody(route) && { mimeType: "application/json" }),
        });
      });
  }
}

function resourcesOf(routes: readonly Route[]): readonly Resource[] {
  const texts = new PathTexts();
  return routes.map((route) => {
    const { text } = texts.of(route);
    return { route, path: text.slice(1), hasVariables: route.variables.length > 0 || text.includes("{") };
  });
}

type Reader = (
  request: { readonly captures: readonly string[]; readonly query: string },
  from: HttpExchange | CallGroup,
  began: (call: FaceCall) => void,
) => Promise<ReadOutcome>;

function compileReader(route: Route, rpc: FaceRpc, shown: ShownRpcs): Reader {
  const binder: Binder = compileBinder(route, rpc.binding);
  const contentsOf = compileContents(route, rpc, shown);
  return async (request, from, began) => {
    let call: FaceCall | undefined;
    try {
      call = rpc.begin(from);
      began(call);
      const admitted = call.admitted();
      if (admitted !== undefined) await admitted;
      const message = binder.bind({ ...request, body: undefined });
      return { kind: "contents", contents: await call.unary(message, contentsOf) };
    } catch (reason) {
      const error = call === undefined ? ConnectError.from(reason, Code.Internal) : call.fail(reason);
      return { kind: "failed", error };
    } finally {
      call?.end();
    }
  };
}

function compileContents(route: Route, rpc: FaceRpc, shown: ShownRpcs): (reply: Message) => ResourceContents {
  const { method } = route;
  if (repliesRawBody(route)) {
    const bodyOf = compileReplyBody(route);
    return (reply) => {
      const { contentType = "", data = new Uint8Array() } = bodyOf(reply) ?? {};
      const isText = /^(?:text\/|application\/(?:json|xml)\b)/i.test(contentType);
      return {
        mimeType: contentType === "" ? "application/octet-stream" : contentType,
        text: isText ? Buffer.from(data).toString("utf8") : undefined,
        bytes: isText ? undefined : data,
      };
    };
  }
  const output = shownMessage(method.output, (field) => shown.has(field));
  const responseField = output.fields.find(({ number }) => number === route.responseField?.number);
  const encode = jsonTextEncoder(
    { ...route, responseField },
    { ...method, output },
    { ...rpc.json, indent: 0 },
  );
  return (reply) => ({ mimeType: "application/json", text: encode(reply), bytes: undefined });
}

/** The member `contents` of a result, for one resource. */
export function contentsOf(uri: string, { mimeType, text, bytes }: ResourceContents): JsonObject {
  return {
    uri,
    mimeType,
    ...(text === undefined ? { blob: Buffer.from(bytes ?? []).toString("base64") } : { text }),
  };
}
