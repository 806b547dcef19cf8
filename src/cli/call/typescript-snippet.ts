import { readHeaders } from "./read-headers.ts";
import { rpcName } from "../../core/call/service.ts";
import { speaksTls } from "../contracts/target-flags.ts";
import { grpcTargetOf } from "./call-target.ts";
import { type PrintedCall, requestTexts } from "./printed-call.ts";

/** A program for Node that makes the call by this package; it needs the packages in its first line. */
export function typescriptSnippet(call: PrintedCall): string {
  const { method, flags, requests } = call;
  const { imports, transport, packages, closing } = transportOf(call);
  const { source, sourceImports, target } = sourceOf(call);
  const isUnary = method.methodKind === "unary";
  const isLive = requests.kind === "stdin";
  const headers = [...readHeaders(flags.header)];
  const values = [
    "undefined",
    flags.maxTime === 0 ? "undefined" : String(flags.maxTime),
    headers.length === 0 ? "undefined" : JSON.stringify(Object.fromEntries(headers)),
  ].join(", ");
  const texts = requestTexts(call);
  const lines = [
    `// npm install ${packages.join(" ")}, then: ${flags.insecure ? "NODE_TLS_REJECT_UNAUTHORIZED=0 " : ""}node call.ts`,
    ...(usesFiles(call) ? ['import { readFileSync } from "node:fs";'] : []),
    ...(isLive ? ['import { createInterface } from "node:readline";'] : []),
    'import { fromJson, toJson } from "@bufbuild/protobuf";',
    ...imports,
    ...sourceImports,
    "",
    `const transport = ${transport};`,
    ...(target === undefined ? [] : [`const server = dial(${JSON.stringify(target)});`]),
    `const { services, registry } = await ${source}.load(AbortSignal.timeout(10_000));`,
    `const service = services.find(({ typeName }) => typeName === ${JSON.stringify(method.parent.typeName)});`,
    `const method = service?.method[${JSON.stringify(method.localName)}];`,
    `if (method?.methodKind !== ${JSON.stringify(method.methodKind)}) throw new Error(${JSON.stringify(`no rpc ${rpcName(method)}`)});`,
    "",
    ...(isUnary
      ? [
          `const request = fromJson(method.input, ${texts[0] ?? "{}"}, { registry });`,
          `const { message } = await transport.unary(method, ${values}, request);`,
          "console.log(JSON.stringify(toJson(method.output, message, { registry, alwaysEmitImplicit: true }), undefined, 2));",
        ]
      : [
          "const { input, output } = method;",
          "async function* requests() {",
          ...(isLive
            ? [
                "  for await (const line of createInterface(process.stdin)) yield fromJson(input, JSON.parse(line), { registry });",
              ]
            : texts.map((text) => `  yield fromJson(input, ${text}, { registry });`)),
          "}",
          `const { message } = await transport.stream(method, ${values}, requests());`,
          "for await (const reply of message) console.log(JSON.stringify(toJson(output, reply, { registry, alwaysEmitImplicit: true }), undefined, 2));",
        ]),
    ...closing,
    ...(target === undefined ? [] : ["server.close();"]),
  ];
  return `${lines.join("\n")}\n`;
}

/** How a program makes its transport. */
interface TransportCode {
  readonly imports: readonly string[];
  readonly transport: string;
  readonly packages: readonly string[];
  /** Its last lines. */
  readonly closing: readonly string[];
}

function transportOf({ to, flags }: PrintedCall): TransportCode {
  const packages = ["ts-ms", "@bufbuild/protobuf"];
  const name = JSON.stringify(to.name);
  switch (to.protocol) {
    case "grpc": {
      const files = tlsCode(flags);
      const options = [
        ...(speaksTls(flags) ? [`tls: ${files === "" ? "true" : `{ ${files} }`}`] : []),
        ...(flags.authority === undefined ? [] : [`authority: ${JSON.stringify(flags.authority)}`]),
      ];
      const second = options.length === 0 ? "" : `, { ${options.join(", ")} }`;
      return {
        imports: ['import { dial } from "ts-ms";'],
        transport: `dial(${name}${second})`,
        packages,
        closing: ["transport.close();"],
      };
    }
    case "rest":
      return {
        imports: ['import { restTransport } from "ts-ms/rest";'],
        transport: `restTransport({ baseUrl: ${name}, fallback: "rpc-path" })`,
        packages,
        closing: [],
      };
    case "connect":
      return {
        imports: ['import { createConnectTransport } from "@connectrpc/connect-node";'],
        transport: `createConnectTransport({ baseUrl: ${name}, httpVersion: "1.1" })`,
        packages: [...packages, "@connectrpc/connect", "@connectrpc/connect-node"],
        closing: [],
      };
  }
}

function tlsCode(flags: PrintedCall["flags"]): string {
  const parts = [
    ["ca", flags.grpcCa],
    ["cert", flags.grpcCert],
    ["key", flags.grpcKey],
  ] as const;
  const given = parts.filter(([, file]) => file !== undefined);
  return given.map(([part, file]) => `${part}: readFileSync(${JSON.stringify(file)})`).join(", ");
}

function usesFiles({ to, flags }: PrintedCall): boolean {
  return to.protocol === "grpc" && tlsCode(flags) !== "";
}

/** How a program gets its contracts. */
function sourceOf({ to, flags }: PrintedCall): {
  readonly source: string;
  readonly sourceImports: readonly string[];
  /** Another server whose reflection has them. */
  readonly target?: string;
} {
  const from = (name: string): readonly string[] => [`import { ${name} } from "ts-ms/schema";`];
  const { descriptors, proto, protoPath, contractsOf } = flags;
  if (descriptors.length > 0) {
    return {
      source: `descriptorSetSource(${JSON.stringify(descriptors)})`,
      sourceImports: from("descriptorSetSource"),
    };
  }
  if (proto.length > 0) {
    const args = [proto, protoPath].map((list) => JSON.stringify(list)).join(", ");
    return { source: `protoSource(${args})`, sourceImports: from("protoSource") };
  }
  if (to.protocol === "grpc" && contractsOf === undefined) {
    return { source: "reflectionSource(transport)", sourceImports: from("reflectionSource") };
  }
  return {
    source: "reflectionSource(server)",
    sourceImports: [
      ...(to.protocol === "grpc" ? [] : ['import { dial } from "ts-ms";']),
      ...from("reflectionSource"),
    ],
    target: contractsOf ?? grpcTargetOf(to),
  };
}
