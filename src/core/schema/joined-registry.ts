import type { DescEnum, DescExtension, DescMessage, DescService, Registry } from "@bufbuild/protobuf";

type AnyDesc = DescMessage | DescEnum | DescExtension | DescService;

/** The types of several contracts, which may become others. Of two types with one name the first is used. */
export class JoinedRegistry implements Registry {
  readonly kind = "registry";
  #registries: readonly Registry[] = [];
  /** What was looked up; undefined for what there is not. */
  readonly #found = new Map<string, AnyDesc | undefined>();

  /** These are the contracts from now on. */
  use(registries: readonly Registry[]): void {
    this.#registries = registries;
    this.#found.clear();
  }

  get(name: string): AnyDesc | undefined {
    if (this.#found.has(name)) return this.#found.get(name);
    let found: AnyDesc | undefined;
    for (const registry of this.#registries) {
      found = registry.get(name);
      if (found !== undefined) break;
    }
    if (this.#found.size >= mostFound) this.#found.clear();
    this.#found.set(name, found);
    return found;
  }

  getMessage(name: string): DescMessage | undefined {
    const found = this.get(name);
    return found?.kind === "message" ? found : undefined;
  }

  getEnum(name: string): DescEnum | undefined {
    const found = this.get(name);
    return found?.kind === "enum" ? found : undefined;
  }

  getExtension(name: string): DescExtension | undefined {
    const found = this.get(name);
    return found?.kind === "extension" ? found : undefined;
  }

  getExtensionFor(extendee: DescMessage, no: number): DescExtension | undefined {
    for (const registry of this.#registries) {
      const found = registry.getExtensionFor(extendee, no);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  getService(name: string): DescService | undefined {
    const found = this.get(name);
    return found?.kind === "service" ? found : undefined;
  }

  *[Symbol.iterator](): IterableIterator<AnyDesc> {
    const seen = new Set<string>();
    for (const registry of this.#registries) {
      for (const desc of registry) {
        if (seen.has(desc.typeName)) continue;
        seen.add(desc.typeName);
        yield desc;
      }
    }
  }
}

/** Names are kept up to this number: clients of the gateway may send any in details and `Any`. */
const mostFound = 10_000;
