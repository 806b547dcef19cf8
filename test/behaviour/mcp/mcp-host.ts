import type { DescService } from "@bufbuild/protobuf";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { AnyService, PartialService } from "../../../src/core/call/service.ts";
import { mcp, type McpOptions } from "../../../src/entries/mcp.ts";
import { GrpcServer, HttpServer, type HttpServerOptions } from "../../../src/index.ts";

/** An answer to a raw request. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: {
    readonly id?: unknown;
    readonly result?: Record<string, unknown>;
    readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
  };
}

/** What requests of the newest revision have in `_meta`. */
export const modernMeta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
};

/** A server with the face `mcp`. */
export class McpHost implements AsyncDisposable {
  readonly http: HttpServer;
  readonly port: number;
  readonly url: string;

  private constructor(http: HttpServer, path: string) {
    this.http = http;
    this.port = http.address?.port ?? 0;
    this.url = `http://127.0.0.1:${this.port}${path}`;
  }

  static async of(
    services: readonly AnyService[],
    options: Partial<McpOptions> = {},
    server: Partial<HttpServerOptions> = {},
  ): Promise<McpHost> {
    const upstream = new GrpcServer({ listen: false, logger: false });
    const http = new HttpServer({ port: 0, upstream, faces: [mcp(options)], logger: false, ...server });
    for (const service of services) {
      upstream.addService(service as PartialService<DescService>); // Any service will do.
      http.addService(service);
    }
    await http.start();
    return new McpHost(http, options.path ?? "/mcp");
  }

  /** Sends a body as it is. */
  async send(
    body: string | Uint8Array<ArrayBuffer>,
    headers: Readonly<Record<string, string>> = {},
    method = "POST",
  ): Promise<RawAnswer> {
    const response = await fetch(this.url, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(method === "POST" && { body }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
    const json = (isJson ? JSON.parse(text) : {}) as RawAnswer["json"];
    return { status: response.status, headers: response.headers, text, json };
  }

  /** A request of the newest revision, with all that it has to say. */
  ask(
    method: string,
    params: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RawAnswer> {
    const { _meta, ...rest } = params;
    const body = {
      jsonrpc: "2.0",
      id: 1,
      method,
      params: { ...rest, _meta: { ...modernMeta, ...(_meta as object) } },
    };
    const name = params["name"] ?? params["uri"];
    return this.send(JSON.stringify(body), {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      ...(typeof name === "string" && { "mcp-name": name }),
      ...headers,
    });
  }

  /** A request of an old client. */
  askOld(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<RawAnswer> {
    const body = { jsonrpc: "2.0", id: "a", method, params };
    return this.send(JSON.stringify(body), { "mcp-protocol-version": "2025-11-25" });
  }

  /** The result of `tools/call`. */
  async call(name: string, args: Readonly<Record<string, unknown>> = {}): Promise<ToolResult> {
    const { json } = await this.ask("tools/call", { name, arguments: args });
    return json.result as unknown as ToolResult; // A result of a tool has these members.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http.gracefulStop({ graceMs: 0 });
  }
}

/** The result of a tool. */
export interface ToolResult {
  readonly content: readonly {
    readonly type: string;
    readonly text?: string;
    readonly data?: string;
    readonly mimeType?: string;
    readonly resource?: unknown;
  }[];
  readonly structuredContent?: Record<string, unknown>;
  readonly isError?: boolean;
  readonly resultType?: string;
  readonly _meta?: Record<string, unknown>;
}

/** Compiles a schema of a tool. Throws for one that is none of the dialect 2020-12. */
export function validatorOf(schema: object): ValidateFunction {
  const ajv = new Ajv2020({ strict: false });
  (addFormats as unknown as (into: Ajv2020) => void)(ajv); // Its types do not know that of ajv's dialect.
  return ajv.compile({ ...schema });
}
