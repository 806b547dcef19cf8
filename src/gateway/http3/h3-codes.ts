import { constants } from "node:http2";

/** Error codes of HTTP/3 (RFC 9114 8.1). */
export const h3Code = {
  noError: 0x100,
  internalError: 0x102,
  excessiveLoad: 0x107,
  /** A server did not begin with the request, so that it may be sent again. */
  requestRejected: 0x10b,
  requestCancelled: 0x10c,
  messageError: 0x10e,
} as const;

/** The code of HTTP/3 for one of HTTP/2. */
export function h3CodeOf(code: number): number {
  switch (code) {
    case constants.NGHTTP2_NO_ERROR:
      return h3Code.noError;
    case constants.NGHTTP2_REFUSED_STREAM:
      return h3Code.requestRejected;
    case constants.NGHTTP2_CANCEL:
      return h3Code.requestCancelled;
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return h3Code.excessiveLoad;
    default:
      return h3Code.internalError;
  }
}
