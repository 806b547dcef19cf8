import { Code, encodeStatusDetails, type ConnectError } from "../errors/errors.ts";
import { toStatusMessage } from "../errors/status-message.ts";
import type { ReplyFields } from "../http2/reply-status.ts";
import { pushbackHeader } from "../metadata/retry-headers.ts";
import { pushbackOf } from "../resilience/pushback.ts";

/** What makes fields those of a reply by gRPC; its type has the status apart from texts. */
const replyHead = { ":status": 200, "content-type": "application/grpc" } as ReplyFields;

/** The head of a reply with messages. @param headers those of the HTTP response */
export function headFields(headers: Headers): ReplyFields {
  return Object.assign(fieldsOf(headers), replyHead);
}

/** The trailers of a reply without an error. */
export function okFields(trailers: Headers): ReplyFields {
  return Object.assign(fieldsOf(trailers), { "grpc-status": "0" });
}

/** The trailers of an error, with what the server says about a retry: by its details, or by `Retry-After`. */
export function errorFields(error: ConnectError): ReplyFields {
  const details = encodeStatusDetails(error);
  const pushback = pushbackOf(error);
  return Object.assign(fieldsOf(error.metadata), replyHead, {
    "grpc-status": String(error.code),
    "grpc-message": encodeURI(toStatusMessage(error.rawMessage)),
    ...(details && { "grpc-status-details-bin": Buffer.from(details).toString("base64") }),
    ...(pushback !== undefined && { [pushbackHeader]: pushback === "never" ? "-1" : String(pushback) }),
  });
}

function fieldsOf(headers: Headers): ReplyFields {
  const cookies = headers.getSetCookie();
  const fields = Object.fromEntries(headers);
  return cookies.length === 0 ? fields : { ...fields, "set-cookie": cookies };
}

/** Whether the network has failed, not the server, by the error that the REST client makes of it. */
export function isLost({ code, cause }: ConnectError): boolean {
  return code === Code.Unavailable && cause instanceof Error;
}
