import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import type { DescFile, DescService, Registry } from "@bufbuild/protobuf";
import {
  file_grpc_health_v1_health,
  HealthCheckResponse_ServingStatusSchema,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { SetupError } from "../errors/setup-error.ts";

const library = "@bufbuild/protobuf";

/** The oldest version of the library whose descriptors have every property that the codecs read. */
const needed = "2.17.0";

/** A copy of the library; undefined members could not be determined. */
interface Copy {
  readonly version: string | undefined;
  /** Folder of its package, or the file into which it was bundled. */
  readonly path: string | undefined;
}

/**
 * The prototype of every file descriptor that our copy of the library makes. Each copy of the library has its own
 * prototype.
 */
const ourMark: unknown = Object.getPrototypeOf(file_grpc_health_v1_health.proto);

/** Whether enum values have a JSON name in our copy; in versions before 2.16 they have none. */
const isNewEnough = HealthCheckResponse_ServingStatusSchema.values.every(
  ({ jsonName }) => jsonName !== undefined,
);

/**
 * Rejects a service descriptor made by another version of `@bufbuild/protobuf` than the one that TsMs uses. Descriptors
 * of two versions differ in properties that codecs read: enum names, for example, would silently become numbers.
 * Another copy of the same version is accepted.
 *
 * Costs one comparison if there is only one copy.
 *
 * @throws TypeError that names the service, versions and paths of both copies, and the remedy
 */
export function checkProtobufCopy(service: DescService): void {
  // JavaScript callers can pass any value: undefined, a service without a descriptor, code of protoc-gen-es 1.
  const given = service as Partial<DescService> | null | undefined;
  if (given?.kind !== "service") {
    const name = typeof given?.typeName === "string" ? given.typeName : inspect(given, { depth: 0 });
    throw new SetupError(`${name} is no descriptor of a service, such as protoc-gen-es 2 generates`);
  }
  check(service);
}

/** As `checkProtobufCopy`, for all types of a registry. */
export function checkRegistryCopy(registry: Registry): void {
  for (const type of registry) check(type);
}

function check({ typeName, file }: { readonly typeName: string; readonly file: DescFile }): void {
  if (isNewEnough && !isForeign(file)) return;
  const ours = copyOf(file_grpc_health_v1_health);
  if (!isNewEnough) {
    throw new SetupError(
      `${library} is too old for TsMs: ${show(ours)}; \`npm install ${library}@^${needed}\``,
    );
  }
  const theirs = copyOf(file);
  if (ours.version !== undefined && ours.version === theirs.version) return;
  // In a bundle no version is known; what one bundle contains was made by the copy in it.
  if (ours.path !== undefined && ours.path === theirs.path) return;
  throw new SetupError(
    `${typeName} comes from another version of ${library} than the one of TsMs: ${show(theirs)}, not ${show(ours)}. ` +
      `Use one copy for both: \`npm install ${library}@^${ours.version ?? needed}\`, then \`npm dedupe\``,
  );
}

function isForeign(file: DescFile): boolean {
  return Object.getPrototypeOf(file.proto) !== ourMark;
}

function show({ version = "of unknown version", path = "an unknown place" }: Copy): string {
  return `${version} in ${path}`;
}

/** The copy of the library that has made a descriptor. */
function copyOf(file: DescFile): Copy {
  const source = sourceOf(file);
  if (source === undefined) return { version: undefined, path: undefined };
  for (let folder = dirname(source); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (!existsSync(manifest)) continue;
    const { name, version } = JSON.parse(readFileSync(manifest, "utf8")) as {
      name?: string;
      version?: string;
    };
    if (name === library) return { version, path: folder };
  }
  return { version: undefined, path: source };
}

/**
 * The source file of the library that made a descriptor, or undefined. A descriptor has methods of the library; a stack
 * trace taken inside one of them names their file.
 */
function sourceOf(file: DescFile): string | undefined {
  const desc = file.messages[0] ?? file.services[0] ?? file.enums[0];
  let stack = "";
  const spy = {
    get typeName(): string {
      stack = new Error().stack ?? "";
      return "";
    },
  };
  desc?.toString.call(spy);
  const line = stack.split("\n")[2] ?? ""; // Below the message and the getter.
  const [, source] = /\((.*):\d+:\d+\)$/.exec(line) ?? /^\s*at (.*):\d+:\d+$/.exec(line) ?? [];
  return source?.startsWith("file://") === true ? fileURLToPath(source) : source;
}
