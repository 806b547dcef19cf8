import type { DescService } from "@bufbuild/protobuf";
import { ConfigError } from "../core/config/loader/config-error.ts";
import type { Config, ConfigUpdate } from "../core/config/loader/config-types.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { ProgramControl } from "./app-control.ts";
import type { AppOptions } from "./app-options.ts";
import type { AppServer } from "./app-server.ts";
import {
  gateStages,
  type Section,
  type SectionKit,
  type SectionParts,
  type StartedProgram,
} from "./sections/section.ts";
import { sections } from "./sections/sections.ts";

/** A section that is in use. */
interface OpenedSection {
  readonly section: Section;
  readonly parts: SectionParts;
}

/** The sections of a configuration that are in use, in the order of the list, and what they make of the servers. */
export class OpenSections {
  readonly #kitOf: (config: Config) => SectionKit;
  #kit: SectionKit;
  #opened: readonly OpenedSection[];
  readonly #started: OpenedSection[] = [];
  #program: ProgramControl | undefined;
  /** Undefined before the start, as `#program` is. */
  #begun: StartedProgram | undefined;

  /**
   * Opens every section that a configuration uses.
   *
   * @throws ConfigError with the mistakes of all of them
   */
  static async of(kitOf: (config: Config) => SectionKit, config: Config): Promise<OpenSections> {
    const kit = kitOf(config);
    const used = sections.filter(({ isUsed }) => isUsed(config));
    return new OpenSections(kitOf, kit, await openAll(used, kit));
  }

  private constructor(
    kitOf: (config: Config) => SectionKit,
    kit: SectionKit,
    opened: readonly OpenedSection[],
  ) {
    this.#kitOf = kitOf;
    this.#kit = kit;
    this.#opened = opened;
  }

  get kit(): SectionKit {
    return this.#kit;
  }

  get parts(): readonly SectionParts[] {
    return this.#opened.map(({ parts }) => parts);
  }

  /** The options of servers, as of now. */
  get serverOptions(): Pick<AppOptions, "grpc" | "http"> {
    const { parts } = this;
    const gates = gateStages.flatMap((stage) => parts.flatMap((part) => part.gates?.[stage] ?? []));
    const observers = parts.flatMap((part) => part.observers ?? []);
    return {
      grpc: {
        ...merged(this.#opened, "grpc"),
        gates,
        observers,
        interceptors: parts.flatMap((part) => part.interceptors ?? []),
      },
      http: {
        ...merged(this.#opened, "http"),
        gates,
        observers,
        httpObservers: parts.flatMap((part) => part.httpObservers ?? []),
        faces: parts.flatMap((part) => part.faces ?? []),
        interceptors: parts.flatMap((part) => part.hopInterceptors ?? []),
      },
    };
  }

  equip(server: AppServer, name: string): void {
    for (const part of this.parts) {
      for (const service of part.services ?? []) server.addService?.(service);
      part.equip?.(server, name);
    }
  }

  /** @throws ConfigError with the mistakes of all sections */
  async check(services: readonly DescService[]): Promise<void> {
    await collect(this.#opened, async ({ parts }) => parts.check?.(services));
  }

  /** Starts the sections one after the other; when one fails, those that were started are stopped. */
  async start(program: ProgramControl, begun: StartedProgram): Promise<void> {
    this.#program = program;
    this.#begun = begun;
    for (const opened of this.#opened) {
      try {
        opened.parts.attach?.(program);
        await opened.parts.start?.(begun);
        this.#started.push(opened);
      } catch (error) {
        await this.stop();
        throw error;
      }
    }
  }

  /** Stops those that were started, in the reverse order. */
  async stop(): Promise<void> {
    for (const { parts } of this.#started.splice(0).reverse()) await parts.stop?.();
  }

  /**
   * Compiles an update, and changes nothing.
   *
   * @returns puts it into use
   * @throws Error that says what cannot be used
   */
  async prepare(update: ConfigUpdate, services: readonly DescService[]): Promise<() => void> {
    const kit = this.#kitOf(update.next);
    const used = sections.filter(({ isUsed }) => isUsed(update.next));
    const swaps: (() => void)[] = [];
    const staying = this.#opened.filter(({ section }) => used.includes(section));
    const leaving = this.#opened.filter((opened) => !staying.includes(opened));
    const coming = used.filter((section) => !this.#opened.some((opened) => opened.section === section));
    const fixed = [...coming, ...leaving.map(({ section }) => section)].find(
      ({ isFixed = false }) => isFixed,
    );
    if (fixed !== undefined)
      throw kit.mistake(fixed.name, "comes into use, or out of it, by a restart alone");
    await collect(staying, async ({ parts }) => {
      const swap = await parts.prepare?.(update);
      if (swap !== undefined) swaps.push(swap);
    });
    const added = await openAll(coming, kit);
    await collect(added, async ({ parts }) => parts.check?.(services));
    for (const { parts } of added) {
      if (this.#program !== undefined) parts.attach?.(this.#program);
      await parts.start?.(this.#begun);
    }
    return () => {
      for (const swap of swaps) swap();
      const all = [...staying, ...added];
      this.#kit = kit;
      this.#opened = used.flatMap((section) => all.filter((opened) => opened.section === section));
      this.#started.push(...added);
      for (const opened of leaving) this.#leave(opened);
    };
  }

  #leave(opened: OpenedSection): void {
    const place = this.#started.indexOf(opened);
    if (place === -1) return;
    this.#started.splice(place, 1);
    void Promise.resolve(opened.parts.stop?.()).catch((err: unknown) => {
      this.#kit.logger.error({ err }, `the section ${opened.section.name} could not be stopped`);
    });
  }
}

async function openAll(list: readonly Section[], kit: SectionKit): Promise<readonly OpenedSection[]> {
  const opened: OpenedSection[] = [];
  await collect(list, async (section) => {
    const { open } = await section.load();
    opened.push({ section, parts: await open(kit) });
  });
  return opened;
}

/** Does something with each item, and throws the mistakes of all together. */
async function collect<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const problems: string[] = [];
  for (const item of items) {
    try {
      await work(item);
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      problems.push(...(error instanceof ConfigError ? error.problems : [error.message]));
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
}

/** The options of all sections for one kind of server. @throws Error naming an option that two of them set */
function merged<K extends "grpc" | "http">(
  opened: readonly OpenedSection[],
  kind: K,
): NonNullable<SectionParts[K]> {
  const options: Record<string, unknown> = {};
  const owners = new Map<string, string>();
  for (const { section, parts } of opened) {
    for (const [name, value] of Object.entries(parts[kind] ?? {})) {
      const owner = owners.get(name);
      if (owner !== undefined)
        throw new Error(`the sections ${owner} and ${section.name} both set the option ${name}`);
      owners.set(name, section.name);
      options[name] = value;
    }
  }
  return options; // Of members of these alone.
}
