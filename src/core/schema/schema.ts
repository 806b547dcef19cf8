import { readFile } from "node:fs/promises";
import { createFileRegistry, type DescService, type FileRegistry } from "@bufbuild/protobuf";
import { decodeFileSet, linkFiles } from "./file-set.ts";
import { filesServing, serviceNames } from "./served-files.ts";
import { SetupError } from "../errors/setup-error.ts";

/** Contracts loaded at run time. */
export interface Schema {
  /** The services to expose. */
  readonly services: readonly DescService[];
  /** Every type of the contracts, for `google.protobuf.Any` and error details. */
  readonly registry: FileRegistry;
  /** A sentence for each part of the contracts that is left out or not supported, with the reason. Default: none. */
  readonly warnings?: readonly string[];
}

/** A source of contracts at run time. `load` is called again to refresh them. */
export interface SchemaSource {
  /** Name for messages, for example `descriptors x.binpb`. */
  readonly name: string;
  /** Rejects with an error that names the file and the problem. */
  load(signal: AbortSignal): Promise<Schema>;
}

/** Services of the server itself, which are not part of its contracts. */
export const housekeeping = /^grpc\.(reflection|health|channelz)\./;

/**
 * Contracts from binary descriptor set files of any size. Comments and source positions in them are dropped.
 *
 * @param only Names of the services to expose; files that they do not need are dropped. Default: all but health,
 *   reflection and channelz.
 */
export function descriptorSetSource(paths: readonly string[], only: readonly string[] = []): SchemaSource {
  return {
    name: `descriptors ${paths.join(", ")}`,
    async load() {
      const offered: string[] = [];
      const registries: FileRegistry[] = [];
      // One after the other, so that only the bytes of one set are in memory at a time.
      for (const path of paths) {
        const files = decodeFileSet(await readFile(path).catch(unreadable(path)), path);
        offered.push(...files.flatMap(serviceNames));
        registries.push(linkFiles(only.length === 0 ? files : filesServing(files, only), path));
      }
      const unknown = only.find((name) => !offered.includes(name));
      if (unknown !== undefined) throw noSuchService(unknown, offered.filter(isOffered));
      const [first] = registries;
      // The registry of a single set is used directly, since a copy would cost memory.
      const registry =
        registries.length === 1 && first !== undefined ? first : createFileRegistry(...registries);
      return toSchema(registry, only);
    },
  };
}

/** Contracts from `.proto` sources. */
export function protoSource(
  files: readonly string[],
  paths: readonly string[] = [],
  only: readonly string[] = [],
): SchemaSource {
  return {
    name: `proto sources ${files.join(", ")}`,
    async load() {
      const { loadSources } = await import("./proto-sources.ts"); // Large, and most programs have no sources.
      const { registry, warnings } = loadSources(files, paths);
      return { ...toSchema(registry, only), warnings };
    },
  };
}

/**
 * The schema of `registry`: all services but health, reflection and channelz, or those that `only` names.
 *
 * @throws Error naming a service of `only` that does not exist, or if there is no service to expose.
 */
export function toSchema(registry: FileRegistry, only: readonly string[] = []): Schema {
  const all = [...registry].filter((desc) => desc.kind === "service");
  const found = all.filter((service) => isOffered(service.typeName));
  if (only.length > 0) {
    const services = only.map((name) => {
      const service = all.find(({ typeName }) => typeName === name);
      if (service !== undefined) return service;
      throw noSuchService(
        name,
        found.map(({ typeName }) => typeName),
      );
    });
    return { registry, services: [...new Set(services)] };
  }
  if (found.length === 0) throw new SetupError("the contracts define no service");
  return { registry, services: found };
}

function isOffered(service: string): boolean {
  return !housekeeping.test(service);
}

/** Most names of services that an error lists. */
const namesShown = 20;

/** The error for a service that was selected by name and does not exist. */
export function noSuchService(name: string, offered: readonly string[]): SetupError {
  const shown = offered.slice(0, namesShown).join(", ");
  const more = offered.length > namesShown ? ` and ${offered.length - namesShown} others` : "";
  return new SetupError(
    offered.length === 0
      ? `the contracts have no service ${name}, nor any other`
      : `the contracts have no service ${name}; they have ${shown}${more}`,
  );
}

function unreadable(path: string) {
  return (cause: unknown): never => {
    throw new SetupError(`cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  };
}
