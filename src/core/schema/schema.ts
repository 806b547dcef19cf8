import { readFile } from "node:fs/promises";
import { createFileRegistry, type DescService, type FileRegistry } from "@bufbuild/protobuf";
import { readFileSet } from "./file-set.ts";
import { SetupError } from "../setup-error.ts";

/** Contracts that were loaded at run time. */
export interface Schema {
  /** The services to expose. */
  readonly services: readonly DescService[];
  /** Every type of the contracts: what `google.protobuf.Any` and error details are read with. */
  readonly registry: FileRegistry;
}

/** Where contracts come from at run time; called again to refresh them. */
export interface SchemaSource {
  /** What people call it, for example `descriptors x.binpb`. */
  readonly name: string;
  /** Rejects with an error that names the file and what is wrong with it. */
  load(signal: AbortSignal): Promise<Schema>;
}

/** Services that belong to a server and not to its contracts. */
const housekeeping = /^grpc\.(reflection|health|channelz)\./;

/** Contracts from binary descriptor set files. */
export function descriptorSetSource(paths: readonly string[], only: readonly string[] = []): SchemaSource {
  return {
    name: `descriptors ${paths.join(", ")}`,
    async load() {
      const sets = await Promise.all(
        paths.map(async (path) => readFileSet(await readFile(path).catch(unreadable(path)), path)),
      );
      return toSchema(createFileRegistry(...sets), only);
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
      const { loadProtoSources } = await import("./proto-sources.ts"); // Large, and most programs have no sources.
      return toSchema(loadProtoSources(files, paths), only);
    },
  };
}

/**
 * The schema of `registry`: all services but a server's own, or those that `only` names.
 *
 * @throws Error naming what was asked for and is not there, or that there is nothing to expose.
 */
export function toSchema(registry: FileRegistry, only: readonly string[] = []): Schema {
  const all = [...registry].filter((desc) => desc.kind === "service");
  const found = all.filter((service) => !housekeeping.test(service.typeName));
  if (only.length > 0) {
    const services = only.map(
      (name) => all.find((service) => service.typeName === name) ?? missing(name, found),
    );
    return { registry, services: [...new Set(services)] };
  }
  if (found.length === 0) throw new SetupError("the contracts define no service");
  return { registry, services: found };
}

function missing(name: string, found: readonly DescService[]): never {
  throw new SetupError(
    `the contracts have no service ${name}; they have ${found.map((service) => service.typeName).join(", ")}`,
  );
}

function unreadable(path: string) {
  return (cause: unknown): never => {
    throw new SetupError(`cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  };
}
