import { createRegistry, type DescFile, type DescMethod, type Registry } from "@bufbuild/protobuf";

/** An rpc as a session finds it by its path. */
export interface KnownMethod {
  readonly desc: DescMethod;
  /** The types of its file and of all that it imports, for `google.protobuf.Any`. */
  readonly registry: Registry;
}

/** The rpcs that a client calls: HTTP requests are made of their messages and rules, and frames have neither. */
export class CalledMethods {
  readonly #methods: ReadonlyMap<string, DescMethod>;
  readonly #known = new WeakMap<DescMethod, KnownMethod>();
  readonly #registries = new WeakMap<DescFile, Registry>();

  /** @param methods by their paths, `/package.Service/Method`; may grow */
  constructor(methods: ReadonlyMap<string, DescMethod>) {
    this.#methods = methods;
  }

  /** By the path of gRPC; undefined for an rpc that is not among them. */
  get(path: string): KnownMethod | undefined {
    const desc = this.#methods.get(path);
    if (desc === undefined) return undefined;
    let known = this.#known.get(desc);
    if (known === undefined) {
      known = { desc, registry: this.#registryOf(desc.parent.file) };
      this.#known.set(desc, known);
    }
    return known;
  }

  #registryOf(file: DescFile): Registry {
    let registry = this.#registries.get(file);
    if (registry === undefined) {
      const files = new Set([file]);
      for (const one of files) for (const imported of one.dependencies) files.add(imported);
      registry = createRegistry(...files);
      this.#registries.set(file, registry);
    }
    return registry;
  }
}
