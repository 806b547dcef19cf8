/** Calls as commands of a shell, and as a program. Each runs in bash as it is. */
import { getsMany, sendsMany, shortName } from "./model.js";
import { isSecret } from "./secrets.js";

/** @import { CallInit, Header } from "./calls.js" */

/**
 * @typedef {object} SnippetInit
 * @property {Pick<CallInit, "rpc" | "root" | "rest" | "messages" | "headers" | "timeoutMs">} call
 * @property {string} origin `http://127.0.0.1:8080`
 * @property {string} contract path of the descriptor set
 * @property {string} output file of the rpc's service: `library/v1/library.proto`
 * @property {string} inputFile file of the request's type
 * @property {string} outputFile file of the reply's type
 */

/** @typedef {{ name: string, text: string }} Snippet */

/**
 * @param {SnippetInit} init
 * @returns {Snippet[]}
 */
export function snippets(init) {
  const { kind } = init.call.rpc;
  return [
    ...(init.call.rest === undefined ? [] : [{ name: "curl", text: curlRest(init) }]),
    ...(sendsMany(kind) && getsMany(kind) ? [] : [{ name: "curl, Connect", text: curlConnect(init) }]),
    { name: "grpcurl", text: grpcurl(init) },
    { name: "ts-ms call", text: tsMsCall(init) },
    { name: "TypeScript", text: typeScript(init) },
  ];
}

/** @param {SnippetInit} init */
function curlRest({ call, origin }) {
  const { rpc, rest, root, headers, messages, timeoutMs } = call;
  if (rest === undefined) return "";
  /** @type {string[]} */
  const words = ["curl"];
  if (/[[\]{}]/.test(rest.path)) words.push("-g");
  if (getsMany(rpc.kind)) words.push("-N");
  words.push(quoted(origin + root + rest.path));
  if (rest.verb !== "GET" || sendsMany(rpc.kind)) words.push(`-X ${rest.verb}`);
  words.push(...headerWords("-H", headers));
  if (timeoutMs !== undefined) words.push(`-H ${quoted(`grpc-timeout: ${timeoutMs}m`)}`);
  if (getsMany(rpc.kind)) words.push(`-H ${quoted("accept: application/x-ndjson")}`);
  if (sendsMany(rpc.kind)) {
    words.push(
      `-H ${quoted("content-type: application/x-ndjson")}`,
      `--data-binary ${quoted(messages.join("\n"))}`,
    );
  } else if (rest.body !== undefined) {
    words.push(`-H ${quoted("content-type: application/json")}`, `--data-raw ${quoted(rest.body)}`);
  }
  return inLines(words);
}

/** @param {SnippetInit} init */
function curlConnect({ call, origin }) {
  const { rpc, root, headers, messages, timeoutMs } = call;
  const isStream = rpc.kind !== "unary";
  const words = [
    "curl",
    "-s",
    quoted(`${origin}${root}/${rpc.id}`),
    `-H ${quoted("connect-protocol-version: 1")}`,
  ];
  words.push(
    `-H ${quoted(`content-type: application/${isStream ? "connect+json" : "json"}`)}`,
    ...headerWords("-H", headers),
  );
  if (timeoutMs !== undefined) words.push(`-H ${quoted(`connect-timeout-ms: ${timeoutMs}`)}`);
  if (!isStream) return inLines([...words, `--data-raw ${quoted(messages[0] ?? "{}")}`]);
  // Each message stands behind a byte of flags and its length; the answer has the same.
  const envelopes = messages.map((text) => `'${lengthBytes(text)}%s'`).join("");
  const send = `printf ${envelopes === "" ? "''" : envelopes} ${messages.map(quoted).join(" ")}`;
  return inLines([
    `${send} | ${words[0] ?? "curl"}`,
    ...words.slice(1),
    "-N",
    "--data-binary @-",
    "--output -",
  ]);
}

/** @param {string} text */
function lengthBytes(text) {
  const { length } = new TextEncoder().encode(text);
  const octal = [24, 16, 8, 0].map((shift) => `\\${((length >>> shift) & 255).toString(8).padStart(3, "0")}`);
  return `\\000${octal.join("")}`;
}

/** @param {SnippetInit} init */
function grpcurl({ call, origin, contract }) {
  const { rpc, headers, messages, timeoutMs } = call;
  const { protocol, host } = new URL(origin);
  const words = ["grpcurl"];
  if (protocol === "http:") words.push("-plaintext");
  words.push(`-protoset <(curl -s ${quoted(origin + contract)})`, ...headerWords("-H", headers));
  if (timeoutMs !== undefined) words.push(`-max-time ${timeoutMs / 1000}`);
  words.push("-emit-defaults", `-d ${quoted(messages.join("\n"))}`, withPort(host, protocol), rpc.id);
  return inLines(words);
}

/** @param {SnippetInit} init */
function tsMsCall({ call, origin, contract }) {
  const { rpc, headers, messages, timeoutMs } = call;
  const { protocol, host } = new URL(origin);
  const words = ["npx ts-ms call", withPort(host, protocol), rpc.id];
  words.push(`--descriptors <(curl -s ${quoted(origin + contract)})`, ...headerWords("-H", headers));
  if (protocol === "https:") words.push("--grpc-tls");
  if (timeoutMs !== undefined) words.push(`--max-time ${timeoutMs}ms`);
  words.push(`-d ${quoted(messages.join("\n"))}`);
  return inLines(words);
}

/** @param {SnippetInit} init */
function typeScript({ call, origin, output, inputFile, outputFile }) {
  const { rpc, headers, messages, timeoutMs } = call;
  const { protocol, host } = new URL(origin);
  const [input, reply] = [schemaName(rpc.input), schemaName(rpc.output)];
  /** @type {Map<string, Set<string>>} */
  const imports = new Map();
  const use = (/** @type {string} */ file, /** @type {string} */ name) => {
    const path = file.startsWith("google/protobuf/")
      ? "@bufbuild/protobuf/wkt"
      : `./gen/${file.replace(/\.proto$/, "")}_pb.ts`;
    imports.set(path, (imports.get(path) ?? new Set()).add(name));
  };
  use(output, rpc.service.short);
  use(inputFile, input);
  use(outputFile, reply);
  const target =
    protocol === "https:" ? `"${withPort(host, protocol)}", { tls: {} }` : `"${withPort(host, protocol)}"`;
  const options = [
    ...(headers.length === 0
      ? []
      : [
          `headers: { ${headers.map(([name, value]) => `${JSON.stringify(name)}: ${programText(name, value)}`).join(", ")} }`,
        ]),
    ...(timeoutMs === undefined ? [] : [`timeoutMs: ${timeoutMs}`]),
  ];
  const more = options.length === 0 ? "" : `, { ${options.join(", ")} }`;
  const method = rpc.name.slice(0, 1).toLowerCase() + rpc.name.slice(1);
  const request = (/** @type {string} */ text) => `fromJson(${input}, ${text})`;
  const lines = [
    `import { fromJson, toJson } from "@bufbuild/protobuf";`,
    `import { createClient } from "@connectrpc/connect";`,
    `import { dial } from "ts-ms";`,
    ...[...imports].map(([path, names]) => `import { ${[...names].join(", ")} } from "${path}";`),
    "",
    `const transport = dial(${target});`,
    `const client = createClient(${rpc.service.short}, transport);`,
  ];
  if (sendsMany(rpc.kind))
    lines.push("async function* requests() {", ...messages.map((text) => `  yield ${request(text)};`), "}");
  const argument = sendsMany(rpc.kind) ? "requests()" : request(messages[0] ?? "{}");
  const print = (/** @type {string} */ value) =>
    `console.log(JSON.stringify(toJson(${reply}, ${value}, { alwaysEmitImplicit: true })));`;
  if (getsMany(rpc.kind))
    lines.push(
      `for await (const reply of client.${method}(${argument}${more})) {`,
      `  ${print("reply")}`,
      "}",
    );
  else lines.push(`const reply = await client.${method}(${argument}${more});`, print("reply"));
  return `${lines.join("\n")}\nprocess.exit();`;
}

/** @param {string} type */
function schemaName(type) {
  return `${shortName(type).replaceAll(".", "_")}Schema`;
}

/**
 * @param {string} flag
 * @param {readonly Header[]} headers
 */
function headerWords(flag, headers) {
  return headers.map(([name, value]) => {
    if (!isSecret(name)) return `${flag} ${quoted(`${name}: ${value}`)}`;
    const { before, variable } = hidden(name, value);
    return `${flag} "${name}: ${before}$${variable}"`;
  });
}

/**
 * @param {string} name
 * @param {string} value
 */
function programText(name, value) {
  if (!isSecret(name)) return JSON.stringify(value);
  const { before, variable } = hidden(name, value);
  return `\`${before}\${process.env.${variable}}\``;
}

/**
 * The variable in place of a secret, and what stands before it.
 *
 * @param {string} name
 * @param {string} value
 */
function hidden(name, value) {
  const scheme = /^(Bearer|Basic|ApiKey) /i.exec(value)?.[0] ?? "";
  const variable =
    name.toLowerCase() === "authorization"
      ? "TOKEN"
      : name
          .toUpperCase()
          .replaceAll(/[^A-Z0-9]+/g, "_")
          .replace(/^X_/, "");
  return { before: scheme, variable };
}

/**
 * A word of a shell.
 *
 * @param {string} text
 */
export function quoted(text) {
  return /^[\w./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * @param {string} host
 * @param {string} protocol
 */
function withPort(host, protocol) {
  return /:\d+$/.test(host) ? host : `${host}:${protocol === "https:" ? 443 : 80}`;
}

/** @param {readonly string[]} words */
function inLines(words) {
  const length = words.reduce((sum, word) => sum + word.length + 1, 0);
  return length <= 76 ? words.join(" ") : words.join(" \\\n  ");
}
