import { isBuiltin } from "node:module";
import { basename, resolve } from "node:path";
import { FlagError } from "../../core/errors/setup-error.ts";

/** The names of a service in the files of a project. */
export interface ServiceNames {
  /** `my-shop`. */
  readonly kebab: string;
  /** `MyShop`. */
  readonly Name: string;
  /** `myShop`. */
  readonly name: string;
  /** The file of its class without the ending: `my-shop-service`. */
  readonly file: string;
  /** The file of its contract without the ending: `my_shop`. */
  readonly proto: string;
  /** The package of its contract: `my_shop.v1`. */
  readonly package: string;
  /** The folder of its contract: `my_shop/v1`. */
  readonly dir: string;
}

/** Words that mean something to a compiler of protos, or to protobuf. */
const keywords = new Set(
  (
    "bool bytes double edition enum export extend extensions fixed32 fixed64 float google group import inf int32 int64 local map max " +
    "message nan oneof option optional package public repeated required reserved returns rpc service sfixed32 " +
    "sfixed64 sint32 sint64 stream string syntax to true false uint32 uint64 weak"
  ).split(" "),
);
/** Names of devices, which are no names of folders everywhere. */
const devices = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;
/** What a name of a package on npm is at most. */
const longestName = 214;
const packageOfProto = /^[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*\.v[1-9]\d*(?:(?:alpha|beta)\d*)?$/;

/**
 * The name of the project in a folder: its last part, by the rules of npm.
 *
 * @param taken names of packages that the project depends on
 * @throws FlagError naming one that does, if it is no name of a package, or of a contract's
 */
export function projectName(folder: string, taken: readonly string[]): string {
  if (folder.split(/[\\/]/).includes("..")) {
    const inside = folder.split(/[\\/]/).filter((part) => part !== ".." && part !== ".");
    throw refused(folder, "leads out of this folder", better(inside.at(-1) ?? "", folder));
  }
  const name = basename(resolve(folder));
  const why = whyNoName(name) ?? (taken.includes(name) ? "is a package that the project needs" : undefined);
  if (why !== undefined) throw refused(name, why, better(name, name));
  return name;
}

/**
 * The names of a service.
 *
 * @param name such as `my-shop`
 * @param inPackage the package of its contract. Default: its name and `v1`
 * @throws FlagError naming one that does, if it is no name of a service or of a package
 */
export function serviceNames(name: string, inPackage?: string): ServiceNames {
  const why = whyNoName(name);
  if (why !== undefined) throw refused(name, why, better(name, name));
  const kebab = name.replaceAll(/[._~-]+/g, "-").replace(/^(.+)-service$/, "$1");
  const proto = kebab.replaceAll("-", "_");
  const Name = kebab
    .split("-")
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1))
    .join("");
  const of = inPackage ?? `${proto}.v1`;
  const words = of.split(".");
  if (!packageOfProto.test(of) || words.some((word) => keywords.has(word))) {
    const fit = words
      .map((word) => word.toLowerCase().replaceAll(/\W+/g, "_"))
      .filter((word) => /^[a-z]/.test(word));
    const told = fit
      .map((word) => (keywords.has(word) ? `${word}s` : word))
      .filter((word) => !/^v\d/.test(word));
    const better = `${told.length === 0 ? proto : told.join(".")}.v1`;
    throw new FlagError(
      `${JSON.stringify(of)} is no package of a contract with a version, such as ${better}`,
    );
  }
  return {
    kebab,
    Name,
    name: Name.slice(0, 1).toLowerCase() + Name.slice(1),
    file: `${kebab}-service`,
    proto,
    package: of,
    dir: words.join("/"),
  };
}

/** Why a text is no name of a package of npm and of a contract. */
function whyNoName(name: string): string | undefined {
  if (name.length > longestName) return `has ${name.length} letters, and ${longestName} are the most`;
  if (devices.test(name)) return "is the name of a device on some systems";
  if (!/^[a-z][a-z0-9._~-]*$/.test(name) || /[._~-]$/.test(name)) {
    return "is not made of small letters, digits and dashes that begin with a letter";
  }
  if (keywords.has(name.replaceAll(/[._~-]+/g, "_"))) return "is a word of protobuf";
  if (isBuiltin(name) || name === "node_modules") return "is a module of Node";
  return undefined;
}

function refused(name: string, why: string, cure: string): FlagError {
  const shown = name.length > 60 ? `${name.slice(0, 57)}…` : name;
  return new FlagError(`${JSON.stringify(shown)} ${why}: take another name, such as ${cure}`);
}

/** A name near to another one that can be used, and is not the refused one. */
function better(name: string, refusedName: string): string {
  const letters = name
    .replaceAll(/([a-z])([A-Z])/g, "$1-$2")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 40);
  if (letters === "") return "shop";
  const begun = /^[a-z]/.test(letters) ? letters : `app-${letters}`;
  return whyNoName(begun) === undefined && begun !== refusedName ? begun : `${begun}-app`;
}
