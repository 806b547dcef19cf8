import type { DescService } from "@bufbuild/protobuf";
import type { Gate } from "../../core/admission/gate.ts";
import { ConfigError } from "../../core/config/loader/config-error.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import type { Selector } from "../../core/policy/selector.ts";
import { followInstead, type KeyFile } from "./key-file.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { refuseUnknownRpcs } from "./unknown-rpcs.ts";

/** A gate of one configuration, with what it was made of. */
export interface GateWithKeys {
  /** Undefined where the configuration has none. */
  readonly gate: Gate | undefined;
  /** The rpcs that the configuration names. */
  readonly selectors: readonly Selector[];
  readonly files: readonly KeyFile<unknown>[];
}

/** What a configuration without the section has. */
export const withoutGate: GateWithKeys = { gate: undefined, selectors: [], files: [] };

/** A gate whose keys stand in files, and which a reload exchanges for another one. */
export class KeyedGate {
  readonly #kit: SectionKit;
  readonly #key: string;
  readonly #make: (config: Config) => Promise<GateWithKeys>;
  #current = withoutGate;
  #services: readonly DescService[] | undefined;

  private constructor(kit: SectionKit, key: string, make: (config: Config) => Promise<GateWithKeys>) {
    this.#kit = kit;
    this.#key = key;
    this.#make = make;
  }

  /**
   * Reads the files of the configuration of `kit`.
   *
   * @param key of the section, which mistakes in files name; its list `rpc` names rpcs
   * @throws what `SectionKit.mistake` returns
   */
  static async open(
    kit: SectionKit,
    key: string,
    make: (config: Config) => Promise<GateWithKeys>,
  ): Promise<KeyedGate> {
    const opened = new KeyedGate(kit, key, make);
    opened.#current = await opened.#named(() => make(kit.config));
    return opened;
  }

  /** What is in use. */
  get current(): GateWithKeys {
    return this.#current;
  }

  /** The members of a section that check the names of rpcs, follow the files and take a reload. */
  get parts(): Required<Pick<SectionParts, "check" | "start" | "stop" | "prepare">> {
    return {
      check: (services) => {
        this.#checkNames(this.#current, services, this.#kit.config);
        this.#services = services;
      },
      start: async () => {
        for (const file of this.#current.files) await this.#named(() => file.follow(this.#kit));
      },
      stop: () => {
        for (const file of this.#current.files) file.stop();
      },
      prepare: async ({ next }) => {
        const after = await this.#named(() => this.#make(next));
        if (this.#services !== undefined) this.#checkNames(after, this.#services, next);
        return () => {
          followInstead(this.#kit, this.#current.files, after.files);
          this.#current = after;
        };
      },
    };
  }

  #checkNames({ selectors }: GateWithKeys, services: readonly DescService[], by: Config): void {
    const unknown = selectors.flatMap((selector) => selector.unmatched(services));
    refuseUnknownRpcs(this.#kit, `${this.#key}.rpc`, unknown, by);
  }

  /** Lets mistakes in files name the section. */
  async #named<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      throw this.#kit.mistake(this.#key, error instanceof Error ? error.message : String(error));
    }
  }
}
