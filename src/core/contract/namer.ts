import type { DescEnum, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";

/** A message or an enum. */
export type DescType = DescMessage | DescEnum;

/**
 * Gives every message, enum and rpc of a contract one short name, the same for all faces and independent of the order in
 * which services were registered. Those of one name get the package in front, all of them.
 */
export class Namer {
  readonly #types = new Map<string, string>();
  readonly #rpcs = new Map<string, readonly string[]>();
  readonly #services = new Map<string, string>();

  /** @param types every type that a document may mention */
  constructor(services: readonly DescService[], types: Iterable<DescType>) {
    const full = [...new Map([...types].map((type) => [type.typeName, type])).values()];
    assign(full, [shortOf, packagedOf, fullOf], ({ typeName }, name) => this.#types.set(typeName, name));
    assign(services, [({ name }) => name, packagedOf, fullOf], ({ typeName }, name) =>
      this.#services.set(typeName, name),
    );
    const rpcs = services.flatMap(({ methods }) => methods);
    assign(rpcs, [methodAlone, behindService, behindPackage], (rpc, name) =>
      this.#rpcs.set(keyOf(rpc), name.split(" ")),
    );
  }

  /** The name of a message or an enum; in UpperCamelCase where the contract has that. */
  type({ typeName }: DescType): string {
    return this.#types.get(typeName) ?? typeName.replaceAll(".", "_");
  }

  /** The name of a service. */
  service({ typeName }: DescService): string {
    return this.#services.get(typeName) ?? typeName.replaceAll(".", "_");
  }

  /** The name of an rpc in parts: the method, behind its service and package where it needs them. */
  rpc(method: DescMethod): readonly string[] {
    return this.#rpcs.get(keyOf(method)) ?? [method.parent.name, method.name];
  }

  /** `getBook`, or `goMsGet` where another service has a method `Get` too. */
  camel(method: DescMethod): string {
    const [first = "", ...rest] = this.rpc(method);
    return lowerFirst(first) + rest.join("");
  }

  /** `libraryGetBook`, also where the method alone would do. */
  camelOfService(method: DescMethod): string {
    const parts = this.rpc(method);
    const [first = "", ...rest] = parts.length > 1 ? parts : behindService(method).split(" ");
    return lowerFirst(first) + rest.join("");
  }

  /** `get_book`, or `go_ms_get`. */
  snake(method: DescMethod): string {
    return this.rpc(method).map(toSnake).join("_");
  }

  /** `LibraryService_GetBook`: always with the service. */
  operation(method: DescMethod): string {
    return `${this.service(method.parent)}_${method.name}`;
  }
}

function keyOf({ parent, name }: DescMethod): string {
  return `${parent.typeName}/${name}`;
}

/** Gives each element the first of its names that no other has; the last way of naming is taken in any case. */
function assign<T>(
  elements: readonly T[],
  ways: readonly ((element: T) => string)[],
  take: (element: T, name: string) => void,
): void {
  let open = elements;
  const taken = new Set<string>();
  for (const [at, nameOf] of ways.entries()) {
    const byName = Map.groupBy(open, nameOf);
    const isLast = at === ways.length - 1;
    open = [];
    for (const [name, same] of byName) {
      if (isLast || (same.length === 1 && !taken.has(name))) for (const element of same) take(element, name);
      else open = [...open, ...same];
      taken.add(name);
    }
    if (open.length === 0) return;
  }
}

function shortOf(type: DescType): string {
  const { file, typeName } = type;
  const inside = file.proto.package === "" ? typeName : typeName.slice(file.proto.package.length + 1);
  return inside.replaceAll(".", "");
}

function packagedOf(type: DescType | DescService): string {
  const inside = type.kind === "service" ? type.name : shortOf(type);
  return upperCamel(type.file.proto.package) + inside;
}

function fullOf({ typeName }: DescType | DescService): string {
  return typeName.replaceAll(".", "_");
}

function methodAlone({ name }: DescMethod): string {
  return name;
}

function behindService({ parent, name }: DescMethod): string {
  return `${serviceWord(parent)} ${name}`;
}

function behindPackage({ parent, name }: DescMethod): string {
  return `${upperCamel(parent.file.proto.package)} ${serviceWord(parent)} ${name}`;
}

/** `Library` of `LibraryService`. */
function serviceWord({ name }: DescService): string {
  return name.length > "Service".length && name.endsWith("Service") ? name.slice(0, -"Service".length) : name;
}

function upperCamel(packageName: string): string {
  return packageName
    .split(/[._]/)
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1))
    .join("");
}

function lowerFirst(name: string): string {
  return name.slice(0, 1).toLowerCase() + name.slice(1);
}

/** `go_ms` of `GoMs`, `http_get` of `HTTPGet`. */
function toSnake(name: string): string {
  return name
    .replaceAll(/([a-z\d])([A-Z])/g, "$1_$2")
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, "$1_$2")
    .toLowerCase();
}
