import { setTimeout as sleep } from "node:timers/promises";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import type { PartialService } from "../../../src/core/call/service.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Authenticator } from "../../../src/core/security/authenticator.ts";
import type { AuthProviderSource } from "../../../src/core/security/auth-provider.ts";
import { principal } from "../../../src/core/security/principal.ts";
import type { SecurityParts } from "../../../src/core/security/security-parts.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { cookies } from "../../../src/gateway/session/cookies.ts";
import { csrf } from "../../../src/gateway/session/csrf.ts";
import { login, logout, session } from "../../../src/gateway/session/session.ts";
import type { SessionOptions } from "../../../src/gateway/session/session-options.ts";
import { sessions } from "../../../src/gateway/session/sessions.ts";
import { EchoRequestSchema, EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { curl, type CurlAnswer } from "../security/whoami.ts";
import { SocketClient } from "../websocket/socket-client.ts";

/** A site whose handlers do what the text of a request says. */
class Site implements PartialService<typeof EchoService> {
  readonly descriptor = EchoService;

  async echo({ text }: { text: string }, context: HandlerContext): Promise<{ text: string }> {
    const [verb = "", value = ""] = text.split("~");
    const cart = (): string => session(context, EchoRequestSchema).data.text;
    switch (verb) {
      case "login":
        await login(context, { id: value, roles: new Set(["reader"]), claims: { tenant: "one" } });
        break;
      case "logout":
        await logout(context);
        break;
      case "add":
        session(context, EchoRequestSchema).update((data) => {
          data.text += value;
        });
        break;
      case "much":
        session(context, EchoRequestSchema).update((data) => {
          data.text = "x".repeat(Number(value));
        });
        break;
      case "cookies": {
        const jar = cookies(context);
        jar.set("one", "a b;c");
        jar.set("two", "2", { maxAgeMs: 5_000, sameSite: "strict" });
        jar.delete("three");
        return { text: String(jar.get("given")) };
      }
      case "token":
        return { text: String(session(context, EchoRequestSchema).csrfToken) };
    }
    return { text: `${principal(context)?.id ?? "anonymous"}:${cart()}` };
  }

  async *repeat({ text }: { text: string }, context: HandlerContext): AsyncGenerator<{ text: string }> {
    if (text === "relogin") await login(context, { id: "bob" });
    yield { text: principal(context)?.id ?? "anonymous" };
    if (text === "hold" || text === "relogin") await sleep(30_000, undefined, { signal: context.signal });
  }
}

/** What a site is started with. */
export interface SessionSiteInit {
  readonly options?: Partial<SessionOptions>;
  readonly providers?: Readonly<Record<string, AuthProviderSource>>;
  readonly trustedOrigins?: readonly string[];
  readonly parts?: Partial<SecurityParts>;
  /** Of the gateway. */
  readonly http?: Partial<HttpServerOptions>;
}

/**
 * A gateway with sessions before a service. Paths with `login` need no credentials, those with `private` need some; all
 * others take them.
 */
export class SessionSite implements AsyncDisposable {
  readonly #auth: Authenticator;
  readonly #http: HttpServer;

  private constructor(auth: Authenticator, http: HttpServer) {
    this.#auth = auth;
    this.#http = http;
  }

  static async start(init: SessionSiteInit = {}): Promise<SessionSite> {
    const { options, providers, trustedOrigins = [], parts, http: more } = init;
    const web = sessions(options);
    const auth = await Authenticator.open(
      { providers: { ...providers, web } },
      ({ target }) =>
        target.includes("login") ? "none" : target.includes("private") ? "required" : "optional",
      parts,
    );
    const service = new Site();
    const grpc = new GrpcServer({ port: 0, logger: false }).addService(service);
    const http = new HttpServer({
      upstream: grpc,
      port: 0,
      gates: [web.gate, auth.gate, csrf({ trustedOrigins })],
      interceptors: [web.interceptor],
      logger: false,
      ...more,
    }).addService(service);
    await http.start();
    return new SessionSite(auth, http);
  }

  get port(): number {
    return this.#http.address?.port ?? 0;
  }

  /** The origin of its pages. */
  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** GETs what a text says. @param cookie as the client sends it; empty for none */
  get(text: string, cookie = "", ...more: readonly string[]): Promise<CurlAnswer> {
    const sent = cookie === "" ? [] : ["-H", `Cookie: ${cookie}`];
    return curl(...sent, ...more, `${this.origin}/test/v1/echo/${encodeURIComponent(text)}`);
  }

  /** POSTs what a text says. */
  post(text: string, cookie: string, ...more: readonly string[]): Promise<CurlAnswer> {
    const sent = ["-H", `Cookie: ${cookie}`, "-H", "content-type: application/json", ...more];
    return curl(...sent, "--data", JSON.stringify({ text }), `${this.origin}/test/v1/echo`);
  }

  /** A WebSocket of the rpc `repeat`, as an own page opens it. */
  socket(text: string, cookie: string): SocketClient {
    const url = `ws://127.0.0.1:${this.port}/test/v1/repeat/${text}`;
    return new SocketClient(url, ["json"], { headers: { cookie, origin: this.origin } });
  }

  /** A WebSocket of many calls, as an own page opens it. */
  manyCalls(cookie: string): SocketClient {
    return new SocketClient(`ws://127.0.0.1:${this.port}/ws`, ["json"], {
      headers: { cookie, origin: this.origin },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.gracefulStop({ graceMs: 0 });
    this.#auth.close();
  }
}

/** What a site has said. */
export function textOf({ body, status }: CurlAnswer): string {
  return status === 200 ? (JSON.parse(body) as { text: string }).text : `status ${status}`;
}

/** `name=value` of the cookie that an answer sets; empty for none. */
export function cookieOf({ headers }: CurlAnswer): string {
  return (headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}
