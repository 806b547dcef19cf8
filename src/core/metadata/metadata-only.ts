import type { Interceptor } from "@connectrpc/connect";

const marked = new WeakSet<Interceptor>();

/**
 * Property that holds the message while an interceptor must not read it; enumerable, so that copies made by spreading
 * keep it.
 */
const hidden: unique symbol = Symbol("message");

/** Prototype of the requests and responses that such interceptors get: reading `message` throws. */
const withoutMessage: object = Object.freeze(
  Object.defineProperty({}, "message", {
    get() {
      throw new TypeError("an interceptor marked as metadataOnly cannot see messages");
    },
  }),
);

/**
 * Marks an interceptor that reads headers, deadlines and outcomes but no message, so that a gateway can forward bytes
 * without decoding them. The interceptor must pass on the request that it got, or a copy made by spreading
 * (`{ ...request, header }`), and return a response of `next` in the same way; reading a `message` throws a TypeError.
 *
 * @returns the interceptor to use; `interceptor` itself is not changed
 */
export function metadataOnly(interceptor: Interceptor): Interceptor {
  const only: Interceptor = (next) => {
    const run = interceptor(async (request) => hide(await next(show(request))));
    return async (request) => show(await run(hide(request)));
  };
  marked.add(only);
  return only;
}

/** Whether an interceptor was made by {@link metadataOnly}. */
export function isMetadataOnly(interceptor: Interceptor): boolean {
  return marked.has(interceptor);
}

function hide<T extends { readonly message: unknown }>(from: T): T {
  const { message, ...rest } = from;
  return Object.assign(Object.create(withoutMessage) as T, rest, { [hidden]: message }); // It has all other properties.
}

function show<T extends { readonly message: unknown }>(from: T): T {
  if (!(hidden in from)) {
    throw new TypeError(
      "an interceptor marked as metadataOnly must pass on the request and the response that it got",
    );
  }
  return { ...from, message: from[hidden] };
}
