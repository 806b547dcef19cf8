import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, type FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import type { Transport } from "@connectrpc/connect";
import { Code, ConnectError } from "../errors/errors.ts";
import { SetupError } from "../errors/setup-error.ts";
import { linkFiles, maxDescriptorBytes } from "./file-set.ts";
import { knownFiles } from "./known-files.ts";
import { ReflectionDialogue, reflectionVersions, type Answer } from "./reflection-dialogue.ts";
import { housekeeping, noSuchService, type Schema, type SchemaSource } from "./schema.ts";
import { removeUnknownTypes } from "./unknown-types.ts";

/**
 * Loads contracts from the server behind `transport` by gRPC server reflection: v1, or v1alpha if the server lacks v1.
 *
 * A service that the server lists and cannot describe is left out, and `Schema.warnings` has the reason. An import that
 * the server lacks affects only the services that need a type of it.
 *
 * @param only Names of the services to load and expose. Default: all but health, reflection and channelz.
 */
export function reflectionSource(transport: Transport, only: readonly string[] = []): SchemaSource {
  return {
    name: "server reflection",
    async load(signal) {
      const [v1, v1alpha] = reflectionVersions;
      try {
        return await ask(new ReflectionDialogue(v1, transport, signal), only);
      } catch (reason) {
        if (!(reason instanceof ConnectError) || reason.code !== Code.Unimplemented) throw reason;
        return ask(new ReflectionDialogue(v1alpha, transport, signal), only);
      }
    },
  };
}

async function ask(dialogue: ReflectionDialogue, only: readonly string[]): Promise<Schema> {
  await using _ = dialogue;
  const wanted = await wantedServices(dialogue, only);
  const files = new ReflectedFiles(dialogue);
  for (const name of wanted) await files.askForService(name);
  await files.askForImports();
  return files.toSchema(wanted);
}

async function wantedServices(dialogue: ReflectionDialogue, only: readonly string[]): Promise<string[]> {
  const listed = await dialogue.ask({ case: "listServices", value: "" });
  if (listed.case !== "listServicesResponse")
    throw new SetupError(`server reflection: ${unexpected(listed)}`);
  const names = listed.value.service.map(({ name }) => name);
  const offered = names.filter((name) => !housekeeping.test(name));
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw noSuchService(unknown, offered);
  if (offered.length === 0 && only.length === 0) {
    throw new SetupError("server reflection: the server lists no service");
  }
  return [...new Set(only.length > 0 ? only : offered)];
}

/** The files that a reflection server has sent, and the reasons for those that it has not. */
class ReflectedFiles {
  readonly #dialogue: ReflectionDialogue;
  readonly #files = new Map<string, FileDescriptorProto>();
  /** Services that cannot be served, by full name, with the reason. */
  readonly #leftOut = new Map<string, string>();
  /** Missing files by name, with the reason. */
  readonly #missing = new Map<string, string>();
  #bytes = 0;

  constructor(dialogue: ReflectionDialogue) {
    this.#dialogue = dialogue;
  }

  async askForService(name: string): Promise<void> {
    const problem = this.#store(await this.#dialogue.ask({ case: "fileContainingSymbol", value: name }));
    if (problem !== undefined) this.#leftOut.set(name, `the server has no file of it (${problem})`);
  }

  /** Requests the imports that are missing: not every server sends a file together with its imports. */
  async askForImports(): Promise<void> {
    for (let names = this.#imports(); names.length > 0; names = this.#imports()) {
      for (const name of names) {
        const problem = this.#store(await this.#dialogue.ask({ case: "fileByFilename", value: name }));
        if (!this.#files.has(name)) this.#missing.set(name, problem ?? "the answer holds other files only");
      }
    }
  }

  /** @throws SetupError when no service is left */
  toSchema(wanted: readonly string[]): Schema {
    for (const file of this.#files.values()) {
      const kept = file.dependency.filter((name) => !this.#missing.has(name));
      if (kept.length === file.dependency.length) continue;
      file.dependency = kept;
      file.publicDependency = []; // Both contain indexes of `dependency`, and only compilers use them.
      file.weakDependency = [];
    }
    if (this.#missing.size > 0) this.#leaveOutIncomplete();
    const registry = this.#link(wanted);
    const services = wanted.flatMap((name) => registry?.getService(name) ?? []);
    for (const name of wanted) {
      if (registry?.getService(name) === undefined && !this.#leftOut.has(name)) {
        this.#leftOut.set(name, "the file that the server gave does not define it");
      }
    }
    const warnings = wanted.flatMap((name) => {
      const reason = this.#leftOut.get(name);
      return reason === undefined ? [] : [`server reflection: ${name} is left out: ${reason}`];
    });
    if (registry === undefined || services.length === 0) throw new SetupError(warnings.join("\n"));
    return { registry, services, warnings };
  }

  /** Stores the files of a response. Returns the problem if it has none. */
  #store(answer: Answer): string | undefined {
    if (answer.case !== "fileDescriptorResponse") return unexpected(answer);
    for (const bytes of answer.value.fileDescriptorProto) {
      this.#bytes += bytes.length;
      if (this.#bytes > maxDescriptorBytes) {
        throw new SetupError(
          `server reflection: more than ${maxDescriptorBytes} bytes of descriptors; ask for fewer services ` +
            "(--service), or serve a descriptor set (--descriptors), which has no limit",
        );
      }
      let file: FileDescriptorProto;
      try {
        file = fromBinary(FileDescriptorProtoSchema, bytes);
      } catch {
        return "its file is no google.protobuf.FileDescriptorProto";
      }
      if (!this.#files.has(file.name)) this.#files.set(file.name, file);
    }
    return undefined;
  }

  #imports(): string[] {
    const names = new Set([...this.#files.values()].flatMap(({ dependency }) => dependency));
    return [...names].filter(
      (name) => !this.#files.has(name) && !knownFiles.has(name) && !this.#missing.has(name),
    );
  }

  #leaveOutIncomplete(): void {
    const missing = [...this.#missing].map(([name, reason]) => `${name} (${reason})`).join(", ");
    for (const [service, type] of removeUnknownTypes([...this.#files.values()], knownFiles.values())) {
      this.#leftOut.set(service, `it needs ${type}, and the server does not give ${missing}`);
    }
  }

  /** Links all files. If that fails, links only the files of those services that can be linked. */
  #link(wanted: readonly string[]) {
    try {
      return linkFiles([...this.#files.values()], "server reflection");
    } catch (reason) {
      if (!(reason instanceof SetupError)) throw reason;
    }
    const linkable = new Set<FileDescriptorProto>();
    for (const name of wanted) {
      if (this.#leftOut.has(name)) continue;
      const files = this.#filesOf(name);
      try {
        linkFiles([...files], name);
        for (const file of files) linkable.add(file);
      } catch (reason) {
        if (!(reason instanceof SetupError)) throw reason;
        this.#leftOut.set(name, reason.message);
      }
    }
    return linkable.size === 0 ? undefined : linkFiles([...linkable], "server reflection");
  }

  /** The file that defines a service and all its imports. */
  #filesOf(service: string): Set<FileDescriptorProto> {
    const files = new Set<FileDescriptorProto>();
    for (const file of this.#files.values()) {
      const scope = file.package === "" ? "" : `${file.package}.`;
      if (file.service.some(({ name }) => `${scope}${name}` === service)) files.add(file);
    }
    for (const { dependency } of files) {
      for (const name of dependency) {
        const imported = this.#files.get(name);
        if (imported !== undefined) files.add(imported);
      }
    }
    return files;
  }
}

/** Describes a response of another kind than the requested one. */
function unexpected(answer: Answer): string {
  if (answer.case !== "errorResponse") return `the server answered ${answer.case ?? "nothing"}`;
  const { errorCode, errorMessage } = answer.value;
  return `${Code[errorCode] ?? `code ${errorCode}`}: ${errorMessage}`;
}
