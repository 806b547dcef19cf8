import type { DescMethod } from "@bufbuild/protobuf";
import type { HubReset } from "./hub-reset.ts";

/** An rpc as links call it. */
export interface HubMethod {
  /** `/package.Service/Method` */
  readonly path: string;
  /** Undefined for one that is called by its path. */
  readonly desc: DescMethod | undefined;
  /** The JSON of a request. @throws HubError INVALID_ARGUMENT */
  encode(request: unknown): unknown;
  /** A reply of its JSON. @throws HubError UNIMPLEMENTED for what this program does not know */
  decode(json: unknown): unknown;
  /** The position in a reply; undefined without a field for it. */
  positionOf(reply: unknown): string | undefined;
  /** The reset that a reply tells of; undefined for other replies. */
  resetOf(reply: unknown): (HubReset & { readonly position: string | undefined }) | undefined;
}
