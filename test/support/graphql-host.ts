import assert from "node:assert/strict";
import { graphql, type GraphqlOptions } from "../../src/entries/graphql.ts";
import { GrpcServer, HttpServer, type HttpServerOptions } from "../../src/index.ts";
import type { AnyService } from "../../src/core/call/service.ts";

/** A result of GraphQL, any member of which a test may look at. */
export interface GraphqlResult {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly GraphqlProblem[];
}

/** An error in a result. */
export interface GraphqlProblem {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions: Readonly<Record<string, unknown>>;
}

/** An answer over HTTP. */
export interface GraphqlAnswer extends GraphqlResult {
  readonly status: number;
  readonly type: string | null;
}

/** Services behind `graphql()`. */
export class GraphqlHost implements AsyncDisposable {
  readonly http: HttpServer;
  readonly #grpc: GrpcServer;

  private constructor(http: HttpServer, grpc: GrpcServer) {
    this.http = http;
    this.#grpc = grpc;
  }

  static async of(
    services: readonly AnyService[],
    options: Partial<GraphqlOptions> = {},
    server: Partial<HttpServerOptions> = {},
  ): Promise<GraphqlHost> {
    const grpc = new GrpcServer({ listen: false, logger: false });
    const http = new HttpServer({
      port: 0,
      logger: false,
      upstream: grpc,
      faces: [graphql(options)],
      ...server,
    });
    for (const service of services) {
      grpc.addService(service as never); // Tests implement all of their rpcs, or none.
      http.addService(service);
    }
    await http.start();
    return new GraphqlHost(http, grpc);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.http.address?.port}`;
  }

  get url(): string {
    return `${this.origin}/graphql`;
  }

  /** Sends a body, an object as JSON. */
  async send(body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<GraphqlAnswer> {
    const response = await fetch(this.url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await response.text();
    const result = JSON.parse(text) as GraphqlResult; // All answers of GraphQL are such objects.
    return { status: response.status, type: response.headers.get("content-type"), ...result };
  }

  async ask(query: string, variables?: unknown): Promise<GraphqlAnswer> {
    return this.send({ query, variables });
  }

  /** The data of a query without errors. */
  async data(query: string, variables?: unknown): Promise<Readonly<Record<string, unknown>>> {
    const { data, errors } = await this.ask(query, variables);
    assert.equal(errors, undefined, JSON.stringify(errors));
    return data ?? assert.fail("no data");
  }

  /** The only error of a request. */
  async problem(query: string, variables?: unknown): Promise<GraphqlProblem & { readonly status: number }> {
    const { errors, status } = await this.ask(query, variables);
    const [first = assert.fail("no error"), ...more] = errors ?? [];
    assert.deepEqual(more, []);
    return { ...first, status };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http.gracefulStop({ graceMs: 500 });
    await this.#grpc.gracefulStop({ graceMs: 500 });
  }
}
