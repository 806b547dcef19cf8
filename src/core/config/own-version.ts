import { createRequire } from "node:module";

const requireOwn = createRequire(import.meta.url);

/** What `package.json` says of this package. */
export interface OwnPackage {
  readonly version: string;
  readonly engines: { readonly node: string };
  /** Ranges of the packages that users install beside this one. */
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
  /** Exact versions of the tools that this package is tested with. */
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** What `package.json` says of this package. */
export function ownPackage(): OwnPackage {
  // Resolved by package name, since sources and compiled files are at different depths.
  return requireOwn("ts-ms/package.json") as OwnPackage; // JSON has no type.
}

/** The version of this package. */
export function ownVersion(): string {
  return ownPackage().version;
}
