import { constants, Http2ServerResponse, type ServerHttp2Stream } from "node:http2";
import type { CallContext } from "../../../core/call/context.ts";
import type { OutgoingHttpHeaders } from "node:http";
import type { Live } from "../../../core/call/live-set.ts";
import type { PeerIdentity } from "../../../core/metadata/peer-identity.ts";
import {
  completeHead,
  type Exchange,
  type ExchangeOwner,
  type TrailersOnDemand,
} from "../../http/exchange.ts";
import type { HttpError } from "../../http/http-error.ts";

/**
 * What `Exchange` is on HTTP/1, for HTTP/2: Node's own response object, which knows the call it answers. Everything
 * behind the connections takes the one for the other.
 */
export class Http2Exchange extends Http2ServerResponse implements Live, TrailersOnDemand {
  livePlace = -1;
  startedAt = 0;
  context: CallContext | undefined;
  route: string | undefined;
  refusal: HttpError | undefined;
  owner: ExchangeOwner | undefined;
  leave: Exchange["leave"];
  readonly peer: PeerIdentity | undefined;
  /** WebSockets come over HTTP/1 only. */
  readonly upgrade: Exchange["upgrade"];
  onHead: Exchange["onHead"];
  /** Means nothing here: the stream ends with the response, the connection by GOAWAY. */
  shouldKeepAlive = true;
  /** Whether trailers may come that no `Trailer` header announces; to be set before the head is written. */
  withTrailers = false;

  /** @param peer who the client is */
  constructor(stream: ServerHttp2Stream, peer: PeerIdentity | undefined) {
    super(stream);
    this.peer = peer;
    // Node would always wait for trailers, and end the stream a turn later than the answer. A client that is still
    // sending might give up in between, which looks like a broken request then, and the answer would be lost.
    const respond = stream.respond.bind(stream);
    stream.respond = (headers, options) =>
      respond(headers, {
        ...options,
        waitForTrailers: this.withTrailers || (headers !== undefined && "trailer" in headers),
      });
  }

  /** The status that was sent; 499 when the client left before the answer was complete. */
  get outcome(): number {
    return this.writableFinished ? this.statusCode : 499;
  }

  static {
    // Properties to the types of Node, accessors of its class or not there at all.
    Object.defineProperties(this.prototype, {
      destroyed: {
        get(this: Http2Exchange) {
          return this.stream.destroyed;
        },
      },
      writableFinished: {
        get(this: Http2Exchange) {
          return this.stream.writableFinished && !this.stream.aborted; // Node ends what the client has reset.
        },
      },
    });
  }

  override writeHead(
    status: number,
    second?: string | OutgoingHttpHeaders | readonly string[],
    third?: OutgoingHttpHeaders | readonly string[],
  ): this {
    const headers = typeof second === "string" ? third : second; // HTTP/2 has no reason phrase.
    return super.writeHead(status, completeHead(this.asExchange, status, headers));
  }

  closeAfter(): void {}

  /** As on HTTP/1, an answer that is broken off must not look complete. */
  override destroy(): this {
    const { stream } = this;
    if (stream.destroyed || stream.closed) return this;
    if (stream.writableFinished) stream.close();
    else stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    return this;
  }

  /** This exchange, for those who know only the other. */
  get asExchange(): Exchange {
    return this as unknown as Exchange; // It has every member of it that is used here.
  }
}
