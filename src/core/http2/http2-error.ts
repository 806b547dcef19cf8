/** HTTP/2 error codes (RFC 9113 7). */
export const errorCode = Object.freeze({
  noError: 0x0,
  protocolError: 0x1,
  internalError: 0x2,
  flowControlError: 0x3,
  settingsTimeout: 0x4,
  streamClosed: 0x5,
  frameSizeError: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compressionError: 0x9,
  connectError: 0xa,
  enhanceYourCalm: 0xb,
  inadequateSecurity: 0xc,
  http11Required: 0xd,
});

const names = new Map<number, string>(
  Object.entries(errorCode).map(([name, code]) => [
    code,
    code === errorCode.http11Required ? "HTTP_1_1_REQUIRED" : name.replaceAll(/[A-Z]/g, "_$&").toUpperCase(),
  ]),
);

/** The name of an error code, such as `ENHANCE_YOUR_CALM`; `other` for codes that are not in the RFC. */
export function errorName(code: number): string {
  return names.get(code) ?? "other";
}

/** An error that ends the connection (RFC 9113 5.4.1). */
export class Http2Error extends Error {
  override readonly name = "Http2Error";
  /** One of `errorCode`, for GOAWAY. */
  readonly code: number;

  /** @param message Names the frame and the rule, in at most 64 characters of ASCII: the debug data of GOAWAY. */
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A violation of the protocol without a code of its own. */
export function protocolError(message: string): Http2Error {
  return new Http2Error(errorCode.protocolError, message);
}

/** The peer makes work without a use (RFC 9113 10.5). */
export function floodError(message: string): Http2Error {
  return new Http2Error(errorCode.enhanceYourCalm, message);
}
