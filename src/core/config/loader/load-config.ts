import { readCommandLine, type FlagGroup } from "../flags.ts";
import { Binder } from "./bind.ts";
import type { BoundSection } from "./bound.ts";
import { checkTogether } from "./checks.ts";
import { Completion } from "./complete.ts";
import { ConfigError, Problems } from "./config-error.ts";
import type { Config, ConfigRequest, LoadConfigOptions, LoadedConfig } from "./config-types.ts";
import { readDocument } from "./document.ts";
import { environmentLayers } from "./environment.ts";
import { KeyFlags } from "./flag-keys.ts";
import { initSource } from "./init-source.ts";
import { keyTree, type KeySection } from "./key-tree.ts";
import { mergeAll } from "./merge.ts";
import { toMessage } from "./message.ts";
import { originsOf, printJson, printYaml } from "./print.ts";
import { withoutSeedShapes } from "./seed-shapes.ts";
import { listOf } from "./setting.ts";
import { setLayers } from "./set.ts";
import type { SourceMap } from "./source-node.ts";
import type { SeenFile } from "./file-watch.ts";
import { SourceReferences } from "./substitute.ts";

/**
 * Reads the configuration of a program.
 *
 * One order, of which the later wins: built-in defaults, `defaults`, the files of `--config` or `TS_MS_CONFIG`, names
 * in the environment without `TS_MS_`, those of OpenTelemetry, those with `TS_MS_`, flags, `--set`, `overrides`.
 *
 * @throws ConfigError with a line for each mistake of every source
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<LoadedConfig> {
  const { program = "app", argv = process.argv.slice(2), flags = {} } = options;
  const root = keyTree();
  const keyFlags = new KeyFlags(root, program);
  const isHelp = argv.some((argument) => /^--?(?:h|help)$/.test(argument));
  const texts = isHelp ? (await import("./key-texts.ts")).keyTexts : undefined;
  const group: FlagGroup = argv.length === 0 ? flags : { ...keyFlags.group(texts), ...flags };
  const line = readCommandLine(program, group, argv);
  if (line.kind === "refuse") throw new ConfigError(line.text.trimEnd().split("\n"));
  if (line.kind === "print") return loadPrinted(options, line.text);
  const given = new Map<string, readonly string[]>();
  const own: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(line.flags)) {
    if (name === "given") continue;
    if (Object.hasOwn(flags, name)) own[name] = value;
    else if (line.flags.given.has(name)) given.set(name, value as readonly string[]); // As `KeyFlags.group` reads them.
  }
  const command: Command = { keyFlags, given, flags: own };
  const source = new ConfigReader(root, options, command);
  const state = source.read();
  return new Loaded(source, state, await requestOf(given, state, root));
}

/** What the command line says. */
interface Command {
  readonly keyFlags: KeyFlags;
  /** The texts of each flag of a key, or about the configuration. */
  readonly given: ReadonlyMap<string, readonly string[]>;
  /** Values of the program's own flags. */
  readonly flags: Readonly<Record<string, unknown>>;
}

/** `--help` and `--version` read nothing else. */
function loadPrinted(options: LoadConfigOptions, text: string): LoadedConfig {
  const root = keyTree();
  const command = { keyFlags: new KeyFlags(root, options.program ?? "app"), given: new Map(), flags: {} };
  const reader = new ConfigReader(root, { env: {} }, command);
  return new Loaded(reader, reader.read(), { kind: "print", text });
}

async function requestOf(
  given: ReadonlyMap<string, readonly string[]>,
  state: ConfigState,
  root: KeySection,
): Promise<ConfigRequest> {
  if (given.has("configSchema")) {
    const { configSchema } = await import("./schema-json.ts");
    const { keyTexts } = await import("./key-texts.ts");
    return { kind: "print", text: configSchema(root, keyTexts) };
  }
  const format = given.get("printConfig")?.at(-1);
  if (format !== undefined) {
    if (format !== "true" && format !== "yaml" && format !== "json") {
      throw new ConfigError([`--print-config=${format}: expected yaml or json`]);
    }
    const print = format === "json" ? printJson : printYaml;
    return { kind: "print", text: print(state.tree, root) };
  }
  if (given.has("printPolicy")) return { kind: "print-policy" };
  return given.has("checkConfig") ? { kind: "check" } : { kind: "run" };
}

/** A configuration as it was read. */
export interface ConfigState {
  /** With all defaults. */
  readonly tree: BoundSection;
  readonly warnings: readonly string[];
}

/** Reads all sources of a program, as often as it is asked to. */
export class ConfigReader {
  readonly root: KeySection;
  readonly flags: Readonly<Record<string, unknown>>;
  /** The files of the last read, whether it succeeded or not. */
  seen: ReadonlyMap<string, SeenFile> = new Map();
  readonly #options: LoadConfigOptions;
  readonly #command: Command;

  constructor(root: KeySection, options: LoadConfigOptions, command: Command) {
    this.root = root;
    this.#options = options;
    this.#command = command;
    this.flags = command.flags;
  }

  /** @throws ConfigError with a line for each mistake of every source */
  read(): ConfigState {
    const problems = new Problems();
    const { defaults, overrides, env = process.env } = this.#options;
    const references = new SourceReferences(env);
    this.seen = references.seen;
    const files = this.#command.given.get("config") ?? listOf(env["TS_MS_CONFIG"] ?? "");
    const before = defaults === undefined ? [] : [initSource(defaults, "defaults")];
    const sources: readonly SourceMap[] = [
      ...before,
      ...files.flatMap((file) => this.#file(file, references, problems)),
      ...environmentLayers(this.root, references, problems),
      this.#command.keyFlags.layer(this.#command.given),
      ...setLayers(this.#command.given.get("set") ?? [], this.root, problems),
      ...(overrides === undefined ? [] : [initSource(overrides, "overrides")]),
    ];
    const binder = new Binder(problems);
    const layers = sources.map((source) => binder.section(source, this.root, []));
    const merged = mergeAll(layers, before.length);
    binder.tellMissing(merged);
    const tree = new Completion(problems, binder.told).section(merged, this.root);
    checkTogether(tree, problems, binder.told, references.warnings);
    problems.check();
    return { tree, warnings: [...references.warnings] };
  }

  #file(file: string, references: SourceReferences, problems: Problems): readonly SourceMap[] {
    references.see(file, false);
    const document = readDocument(file, references, problems);
    return document === undefined ? [] : [withoutSeedShapes(document, this.root, problems)];
  }
}

/** A configuration that was loaded, and how to read it again. */
export class Loaded implements LoadedConfig {
  readonly config: Config;
  readonly request: ConfigRequest;
  readonly reader: ConfigReader;
  readonly state: ConfigState;
  readonly files: readonly string[];
  #origins: LoadedConfig["origins"] | undefined;

  constructor(reader: ConfigReader, state: ConfigState, request: ConfigRequest) {
    this.reader = reader;
    this.state = state;
    this.request = request;
    this.config = toConfig(state.tree, reader.root);
    this.files = [...reader.seen.keys()];
  }

  get origins(): LoadedConfig["origins"] {
    return (this.#origins ??= originsOf(this.state.tree));
  }

  get warnings(): readonly string[] {
    return this.state.warnings;
  }

  get flags(): Readonly<Record<string, unknown>> {
    return this.reader.flags;
  }

  print(format: "yaml" | "json" = "yaml"): string {
    return (format === "json" ? printJson : printYaml)(this.state.tree, this.reader.root);
  }
}

/** The message of a complete tree of the keys of `Config`. */
export function toConfig(tree: BoundSection, root: KeySection): Config {
  if (root.message !== "Config") throw new TypeError(`${root.message} is no configuration`);
  return toMessage(tree, root) as unknown as Config; // Its type is checked above; sections marked `always` are there.
}
