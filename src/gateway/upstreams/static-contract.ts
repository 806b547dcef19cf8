import {
  createRegistry,
  type DescEnum,
  type DescExtension,
  type DescFile,
  type DescMessage,
  type DescService,
  type Registry,
} from "@bufbuild/protobuf";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { LoadedContract } from "./upstream-entry.ts";

type AnyDesc = DescMessage | DescEnum | DescExtension | DescService;

/** Contracts by the first of their services, so that the same services again are the same contract. */
const known = new WeakMap<DescService, LoadedContract>();

/**
 * The contract of services that are given themselves.
 *
 * @param only names of those to serve; none for all
 * @throws SetupError for a name that none of them has
 */
export function staticContract(services: readonly DescService[], only: readonly string[]): LoadedContract {
  const missing = only.find((name) => !services.some(({ typeName }) => typeName === name));
  if (missing !== undefined)
    throw new SetupError(`Upstreams: there is no service ${missing} among those given`);
  const served = only.length === 0 ? services : services.filter(({ typeName }) => only.includes(typeName));
  const [first] = served;
  const before = first && known.get(first);
  if (
    before?.services.length === served.length &&
    served.every((one, place) => one === before.services[place])
  ) {
    return before;
  }
  const contract = { services: served, registry: new FilesRegistry(served.map(({ file }) => file)) };
  if (first !== undefined) known.set(first, contract);
  return contract;
}

/** The types of files and of all that they import, gathered when the first of them is looked up. */
class FilesRegistry implements Registry {
  readonly kind = "registry";
  readonly #files: readonly DescFile[];
  #made: Registry | undefined;

  constructor(files: readonly DescFile[]) {
    this.#files = files;
  }

  get(name: string): AnyDesc | undefined {
    return this.#registry.get(name);
  }

  getMessage(name: string): DescMessage | undefined {
    return this.#registry.getMessage(name);
  }

  getEnum(name: string): DescEnum | undefined {
    return this.#registry.getEnum(name);
  }

  getExtension(name: string): DescExtension | undefined {
    return this.#registry.getExtension(name);
  }

  getExtensionFor(extendee: DescMessage, no: number): DescExtension | undefined {
    return this.#registry.getExtensionFor(extendee, no);
  }

  getService(name: string): DescService | undefined {
    return this.#registry.getService(name);
  }

  [Symbol.iterator](): IterableIterator<AnyDesc> {
    return this.#registry[Symbol.iterator]();
  }

  get #registry(): Registry {
    if (this.#made === undefined) {
      const files = new Set(this.#files);
      for (const file of files) for (const imported of file.dependencies) files.add(imported);
      this.#made = createRegistry(...files);
    }
    return this.#made;
  }
}
