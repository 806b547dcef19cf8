import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { MethodImpl, ServiceImpl } from "@connectrpc/connect";
import { checkProtobufCopy } from "./protobuf-copy.ts";

export type { MethodImpl, ServiceImpl };

/**
 * What a service class implements: one method per rpc, in Connect's `ServiceImpl` shape, and the descriptor it serves.
 *
 * ```ts
 * class Greeter implements Service<typeof GreeterService> {
 *   readonly descriptor = GreeterService;
 *   greet(request: GreetRequest): MessageInitShape<typeof GreetResponseSchema> { … }
 * }
 * ```
 *
 * A missing rpc or a wrong message does not compile. Leave rpcs out on purpose with `PartialService`.
 */
export type Service<D extends DescService> = { readonly descriptor: D } & ServiceImpl<D>;

/** As `Service`, but rpcs may be missing; those answer UNIMPLEMENTED. */
export type PartialService<D extends DescService> = { readonly descriptor: D } & Partial<ServiceImpl<D>>;

/** A service of any type: its descriptor. Servers look up the implementation of each rpc by name. */
export interface AnyService {
  readonly descriptor: DescService;
}

/**
 * The plain-object style: a service from a descriptor and functions. Missing rpcs answer UNIMPLEMENTED.
 *
 * @throws TypeError if the descriptor is none, comes from another version of `@bufbuild/protobuf`, or has an rpc that is
 *   named `descriptor`.
 */
export function service<D extends DescService>(
  descriptor: D,
  implementation: Partial<ServiceImpl<D>>,
): PartialService<D> {
  checkProtobufCopy(descriptor);
  // The implementation becomes the prototype, so that its functions keep their `this`. An rpc called `descriptor` would
  // be hidden by the property of that name, so it is rejected.
  if (descriptor.methods.some((method) => method.localName === "descriptor")) {
    throw new TypeError(`${descriptor.typeName} has an rpc named "descriptor", which services cannot have`);
  }
  return Object.create(implementation, {
    descriptor: { value: descriptor, enumerable: true },
  }) as PartialService<D>; // Object.create has no type for what it makes.
}

/** The function of `service` that implements `method`, bound to it; undefined where there is none. */
export function implementationOf<M extends DescMethod>(
  service: AnyService,
  method: M,
): MethodImpl<M> | undefined {
  const candidate: unknown = (service as unknown as Record<string, unknown>)[method.localName]; // Looked up by name.
  if (candidate === undefined) return undefined;
  if (typeof candidate !== "function") {
    throw new TypeError(
      `${service.descriptor.typeName}: "${method.localName}" must be a function, as it implements the rpc ${method.name}`,
    );
  }
  return candidate.bind(service) as MethodImpl<M>; // `Service` enforces the shape at compile time.
}

const rpcNames = new WeakMap<DescMethod, string>();

/** The name of an rpc as in a gRPC path, without the leading slash: `package.Service/Method`. */
export function rpcName(method: DescMethod): string {
  // It is joined once for each rpc: V8 keeps a joined text in parts, and copies them when it is read.
  let name = rpcNames.get(method);
  if (name === undefined) rpcNames.set(method, (name = `${method.parent.typeName}/${method.name}`));
  return name;
}

/** Whether the reply of an rpc is a stream, which may never end. */
export function streamsReplies({ methodKind }: DescMethod): boolean {
  return methodKind === "server_streaming" || methodKind === "bidi_streaming";
}
