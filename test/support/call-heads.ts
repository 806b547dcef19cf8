import { CallContext } from "../../src/core/call/context.ts";
import type { CallHead } from "../../src/core/admission/call-head.ts";
import type { PeerIdentity } from "../../src/core/metadata/peer-identity.ts";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";

/** What a call head is made of; all of it may be left out. */
export interface CallHeadInit extends Partial<CallHead> {
  readonly headers?: Readonly<Record<string, string>>;
}

/** The head of a call of `Echo` by REST from 192.0.2.1. */
export function callHead({ headers = {}, ...init }: CallHeadInit = {}): CallHead {
  const method = init.method ?? EchoService.method.echo;
  const requestHeader = new Headers(headers);
  return {
    door: "rest",
    method,
    context: new CallContext({ method, protocolName: "rest", requestHeader }),
    client: { ip: "192.0.2.1", trusted: false },
    peer: undefined,
    httpMethod: "POST",
    target: "/test/v1/echo",
    route: "/test/v1/echo",
    scheme: "https",
    authority: "library.example",
    bodyBytes: undefined,
    header: (name) => requestHeader.get(name) ?? undefined,
    headerValues: (name) => requestHeader.get(name)?.split(", ") ?? [],
    ...init,
  };
}

/** The identity of a client with a certificate. */
export function peer(names: Partial<PeerIdentity> = {}): PeerIdentity {
  return {
    subject: "CN=client",
    uris: [],
    dnsNames: [],
    emails: [],
    ipAddresses: [],
    fingerprint: "ab".repeat(32),
    ...names,
  };
}
