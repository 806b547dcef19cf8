import { Http2ServerRequest, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { Http2Exchange } from "../connections/http2-exchange.ts";
import type { ExchangeOwner } from "../connections/live-exchange.ts";
import type { Http3Stream } from "./http3-stream.ts";

/** A request over HTTP/3, in the shape of Node's for HTTP/2. */
class Http3Request extends Http2ServerRequest {
  static {
    // Node's types declare these as properties, but its class has accessors.
    Object.defineProperties(this.prototype, {
      httpVersion: { get: () => "3.0" },
      httpVersionMajor: { get: () => 3 },
    });
  }
}

/** An exchange over HTTP/3: that of `node:http2`, on a stream that looks like one of it. */
export class Http3Exchange extends Http2Exchange {
  /** @param rawHeaders names and values as they came, by turns */
  constructor(
    stream: Http3Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
    owner: ExchangeOwner,
  ) {
    // All that Node's request and response read of a stream, this one has.
    const shape = stream as unknown as ServerHttp2Stream;
    super(shape, new Http3Request(shape, headers, {}, rawHeaders), owner, undefined);
  }

  override get isSecure(): boolean {
    return true;
  }

  override get remoteAddress(): string | undefined {
    return this.#own.remoteAddress;
  }

  get #own(): Http3Stream {
    return this.stream as unknown as Http3Stream; // It was made with one.
  }
}
