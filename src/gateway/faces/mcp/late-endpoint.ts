import type { HttpExchange, RequestHead } from "../../http/exchange.ts";
import { headerValue } from "../../http/header-value.ts";
import type { Endpoint, EndpointParts } from "./endpoint.ts";
import { namedByHeaders } from "./headers.ts";
import { isModern } from "./versions.ts";

/** The endpoint of one contract, which is loaded when the first request comes. */
export class LateEndpoint {
  readonly #parts: EndpointParts;
  #loading: Promise<Endpoint> | undefined;
  #loaded: Endpoint | undefined;

  constructor(parts: EndpointParts) {
    this.#parts = parts;
  }

  /** Whether a request gets no events: `checkHeaders` refuses messages that are not what their head says. */
  isWhole({ method, headers }: RequestHead): boolean {
    if (method !== "POST" || !isModern(headerValue(headers["mcp-protocol-version"]))) return false;
    const { method: asked, name } = namedByHeaders(headers);
    return asked !== null && asked !== "subscriptions/listen" && !this.#parts.known.mayProgress(asked, name);
  }

  /** As `Endpoint.answer`. */
  answer(exchange: HttpExchange): Promise<void> {
    if (this.#loaded !== undefined) return this.#loaded.answer(exchange);
    return (this.#loading ??= this.#load()).then((endpoint) => endpoint.answer(exchange));
  }

  async #load(): Promise<Endpoint> {
    const { Endpoint } = await import("./endpoint.ts"); // When the first request comes.
    return (this.#loaded = new Endpoint(this.#parts));
  }
}
