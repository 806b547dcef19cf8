import type { Interceptor } from "@connectrpc/connect";

const marked = new WeakSet<Interceptor>();

/** Where the message is while an interceptor must not see it; enumerable, so that copies made by spreading have it. */
const hidden: unique symbol = Symbol("message");

/** What requests and responses look like to such interceptors, beside their own properties. */
const withoutMessage: object = Object.freeze(
  Object.defineProperty({}, "message", {
    get() {
      throw new TypeError("an interceptor marked as metadataOnly cannot see messages");
    },
  }),
);

/**
 * Marks an interceptor that looks at headers, deadlines and outcomes but at no message, so that a gateway may pass
 * bytes along without making messages of them. It passes on the request that it got, or a copy made by spreading
 * (`{ ...request, header }`), and returns a response of `next` in the same way; reading a `message` throws a TypeError.
 *
 * @returns the interceptor to use; `interceptor` itself stays as it is
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
    throw new TypeError("an interceptor marked as metadataOnly has to pass on what it was given");
  }
  return { ...from, message: from[hidden] };
}
