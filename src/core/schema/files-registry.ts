import {
  createRegistry,
  type DescEnum,
  type DescExtension,
  type DescFile,
  type DescMessage,
  type DescService,
  type Registry,
} from "@bufbuild/protobuf";

type AnyDesc = DescMessage | DescEnum | DescExtension | DescService;

/** The types of files and of all that they import, gathered when the first of them is looked up. */
export class FilesRegistry implements Registry {
  readonly kind = "registry";
  readonly #files: Set<DescFile>;
  #made: Registry | undefined;

  constructor(files: Iterable<DescFile> = []) {
    this.#files = new Set(files);
  }

  /** Its types are there from now on. */
  add(file: DescFile): void {
    if (this.#files.has(file)) return;
    this.#files.add(file);
    this.#made = undefined;
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
