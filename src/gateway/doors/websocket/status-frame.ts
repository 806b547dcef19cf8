import type { CallContext } from "../../../core/call/context.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import { requestIdHeader } from "../../../core/metadata/request-id.ts";
import { metadataBefore } from "../../../core/errors/lean-error.ts";
import type { ErrorWriter } from "../../http/error-writer.ts";
import type { ReplyMetadata } from "../../http/reply-metadata.ts";

/** The parts that convert the end of a call. */
export interface StatusOptions {
  readonly errors: ErrorWriter;
  readonly replyMetadata: ReplyMetadata;
}

const ok = '{"code":0,"message":"","details":[]}';

/**
 * The end of a call as the members `"status"` (`google.rpc.Status`), `"headers"` and `"trailers"` of a JSON object,
 * without its braces.
 *
 * @param context undefined for a call that never began
 */
export function statusMembers(
  { errors, replyMetadata }: StatusOptions,
  error: ConnectError | undefined,
  context: CallContext | undefined,
): string {
  const headers: Record<string, string> = {};
  const trailers: Record<string, string> = {};
  context?.eachResponseHeader((name, value) =>
    replyMetadata.header(name, value, (as, text) => (headers[as] = text)),
  );
  if (context?.answeredId !== undefined) headers[requestIdHeader] = context.answeredId;
  // The metadata of an error may also contain the headers of the reply.
  const trailer = error === undefined ? context?.responseTrailerIfAny : metadataBefore(error);
  if (trailer !== undefined) {
    replyMetadata.trailersAsHeaders(trailer, (name, value) => {
      if (error === undefined || context?.responseField(name) === undefined) trailers[name] = value;
    });
  }
  const status = error === undefined ? ok : errors.statusText(error);
  return `"status":${status},"headers":${JSON.stringify(headers)},"trailers":${JSON.stringify(trailers)}`;
}
