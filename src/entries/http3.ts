/** HTTP/3 in the process of an `HttpServer`: `ts-ms/http3`. Experimental; needs the package `@currentspace/http3`. */
export { http3, type Http3Door } from "../gateway/http3/http3-door.ts";
export { http3Defaults, type Http3Options } from "../gateway/http3/http3-options.ts";
