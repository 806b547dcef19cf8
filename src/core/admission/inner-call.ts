import type { DescMethod } from "@bufbuild/protobuf";
import type { CallContext } from "../call/context.ts";
import { peerIdentity, type PeerIdentity } from "../metadata/peer-identity.ts";
import type { CallHead, ClientAddress } from "./call-head.ts";

const nowhere: ClientAddress = Object.freeze({ ip: "", trusted: false });

/** The head of a call that is made in this process: its headers are the metadata that its caller has set. */
export class InnerCall implements CallHead {
  readonly door = "in-process";
  readonly client = nowhere;
  readonly httpMethod = "POST";
  readonly route = undefined;
  readonly scheme = "http";
  readonly authority = "";
  readonly bodyBytes = undefined;
  readonly context: CallContext;

  constructor(context: CallContext) {
    this.context = context;
  }

  get method(): DescMethod {
    return this.context.method;
  }

  get peer(): PeerIdentity | undefined {
    return peerIdentity(this.context);
  }

  get target(): string {
    return this.context.url;
  }

  header(name: string): string | undefined {
    return this.context.requestHeader.get(name) ?? undefined;
  }

  headerValues(name: string): readonly string[] {
    const value = this.header(name);
    return value === undefined ? [] : [value];
  }
}
