/** Packages whose code is inside this one, so that users need not install them. */
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, sep } from "node:path";

/**
 * What only some programs use, and what brings many packages for little code. Their copies are loaded with the feature.
 * The code that reads what strangers send (`ws`, `@fastify/busboy`) stays outside: whoever is told of a fault in it can
 * bring it up to date without us. docs/dependencies.md has the reasons.
 */
export const inside = ["@fastify/websocket", "@grpc/proto-loader", "prom-client", "protobufjs"];

/** A package's name in what is imported. */
const packageName = /^(?:@[^/]+\/)?[^/]+/;

/** Before the name of a package outside that one inside requires: what it imports can be another thing. */
const whole = "whole:";

/**
 * Leaves packages outside but those of `inside`, with all that they need, and `more`.
 *
 * They are CommonJS: what they require of Node comes from `process.getBuiltinModule`, since modules have no `require`.
 */
export function insidePackages(root, ...more) {
  const taken = new Set([...inside, ...more]);
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const installed = new Set(Object.keys({ ...dependencies, ...peerDependencies }));
  for (const name of taken) installed.delete(name);

  /** Where an import leads: an esbuild plugin's answer. */
  function resolve({ path, kind, importer, namespace }) {
    if (kind === "entry-point") return undefined;
    if (path.startsWith(whole)) return { path: path.slice(whole.length), namespace: whole };
    if (namespace === whole) return { path, external: true };
    const isRequired = kind === "require-call";
    if (isBuiltin(path)) return isRequired ? { path, namespace: "builtin" } : { path, external: true };
    const name = packageName.exec(path)[0];
    const isPackages = importer.split(sep).includes("node_modules");
    if (isPackages && name === "@opentelemetry/api") return { path, namespace: "unused" };
    if (taken.has(name) || (isPackages && !installed.has(name))) return undefined;
    return isRequired ? { path, namespace: "installed" } : { path, external: true };
  }

  return {
    name: "inside",
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /^[^./]/ }, resolve);
      onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
        contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
      }));
      onLoad({ filter: /.*/, namespace: "installed" }, ({ path }) => ({
        contents: `module.exports = require(${JSON.stringify(whole + path)}).default;`,
      }));
      onLoad({ filter: /.*/, namespace: whole }, ({ path }) => ({
        contents: `import { createRequire } from "node:module";
          export default createRequire(import.meta.url)(${JSON.stringify(path)});`,
      }));
      // prom-client asks it for examples of traces, which are off.
      onLoad({ filter: /.*/, namespace: "unused" }, () => ({ contents: "module.exports = {};" }));
    },
  };
}
