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

/** Anything that says which service it is. Servers take this and look the rpcs up by name. */
export interface AnyService {
  readonly descriptor: DescService;
}

/**
 * The plain-object style: a service from a descriptor and functions. Rpcs left out answer UNIMPLEMENTED.
 *
 * @throws TypeError if the descriptor is none, comes from another version of `@bufbuild/protobuf`, or has an rpc that is
 *   named `descriptor`.
 */
export function service<D extends DescService>(
  descriptor: D,
  implementation: Partial<ServiceImpl<D>>,
): PartialService<D> {
  checkProtobufCopy(descriptor);
  // The implementation stays the prototype, so that its functions keep their `this`; an rpc called `descriptor`
  // would be hidden by the property of that name and is refused instead.
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
  return candidate.bind(service) as MethodImpl<M>; // The shape is what `Service` demands of the class.
}

/** The name of an rpc as it stands in a gRPC path, without the leading slash: `package.Service/Method`. */
export function rpcName(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/** Whether an rpc answers with a stream, which may go on without end. */
export function streamsReplies({ methodKind }: DescMethod): boolean {
  return methodKind === "server_streaming" || methodKind === "bidi_streaming";
}
