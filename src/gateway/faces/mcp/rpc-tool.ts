import { createHash } from "node:crypto";
import { type DescField, type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { faces, field_faces, type McpFace } from "../../../../gen/ts_ms/v1/faces_pb.ts";
import { rpcName } from "../../../core/call/service.ts";
import { Namer } from "../../../core/contract/namer.ts";
import { typesOf } from "../../../core/contract/reachable-types.ts";
import { type Traits, traitsOf } from "../../../core/contract/traits.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { isHttpBody } from "../../binding/http-body.ts";
import type { Contract, FaceHost } from "../face.ts";
import { ShownContract } from "../shown-contract.ts";
import type { HeaderArgument } from "./headers.ts";
import type { McpOptions } from "./mcp-options.ts";

/** An rpc as a tool. */
export interface RpcTool {
  readonly name: string;
  readonly method: DescMethod;
  /** What the contract says of it as a tool; undefined for nothing. */
  readonly face: McpFace | undefined;
  readonly traits: Traits;
  /** Arguments that clients send in headers too. */
  readonly headers: readonly HeaderArgument[];
}

/** What the face shows of a contract. */
export class ShownRpcs extends ShownContract {
  readonly namer: Namer;
  /** In the order of the contract. */
  readonly tools: readonly RpcTool[];
  readonly #firstRoutes = new Map<DescMethod, Route>();

  /** @throws SetupError as `ShownContract`, and for a wrong or doubled name of a tool */
  constructor(contract: Contract, options: McpOptions, { json: { fieldNames } }: Pick<FaceHost, "json">) {
    super("mcp", contract, options);
    for (const route of contract.routes) {
      if (!route.implicit && !this.#firstRoutes.has(route.method)) this.#firstRoutes.set(route.method, route);
    }
    this.namer = new Namer(this.services, typesOf(this.services));
    const tools = this.services
      .flatMap(({ methods }) => methods)
      .filter((method) => this.showsRpc(method))
      .filter((method) => this.#isExposed(method, options))
      .map((method) => this.#toTool(method, fieldNames));
    checkNames(tools);
    this.tools = chosen(tools, options);
  }

  /** Whether an rpc of a shown service may be called. */
  showsRpc(method: DescMethod): boolean {
    return faceOf(method)?.hidden !== true && this.has(method);
  }

  traitsOf(method: DescMethod): Traits {
    return traitsOf(method, this.#firstRoutes.get(method)?.httpMethod);
  }

  #isExposed(method: DescMethod, { expose }: McpOptions): boolean {
    if (expose === "all" || (faceOf(method)?.tool ?? "") !== "") return true;
    const { methodKind } = method;
    return (
      expose === "safe" &&
      (methodKind === "unary" || methodKind === "server_streaming") &&
      this.traitsOf(method).safe
    );
  }

  #toTool(method: DescMethod, fieldNames: "json" | "proto"): RpcTool {
    const face = faceOf(method);
    const given = face?.tool ?? "";
    const headers = headersOf(method, fieldNames);
    const name = given === "" ? short(this.namer.snake(method)) : given;
    return { name, method, face, traits: this.traitsOf(method), headers };
  }
}

/** What the contract says of an rpc as a tool. */
export function faceOf(method: DescMethod): McpFace | undefined {
  return hasOption(method, faces) ? getOption(method, faces).mcp : undefined;
}

/** Whether the result is one message, of whose coming no progress is told. */
export function hasOneMessage({ methodKind, output }: DescMethod): boolean {
  return !isHttpBody(output) && (methodKind === "unary" || methodKind === "client_streaming");
}

const longestName = 64;
const goodName = /^[A-Za-z0-9_.-]{1,64}$/;

/** A name that is too long keeps its beginning, and gets a hash of all of it. */
function short(name: string): string {
  if (name.length <= longestName) return name;
  return `${name.slice(0, 53)}_${createHash("sha256").update(name).digest("hex").slice(0, 10)}`;
}

function checkNames(tools: readonly RpcTool[]): void {
  const owners = new Map<string, DescMethod>();
  for (const { name, method } of tools) {
    if (!goodName.test(name)) {
      throw new SetupError(
        `mcp: ${rpcName(method)}: the tool ${JSON.stringify(name)}: a name has up to 64 of A-Z, a-z, 0-9, _, . and -`,
      );
    }
    const other = owners.get(name);
    if (other !== undefined) {
      throw new SetupError(
        `mcp: ${rpcName(other)} and ${rpcName(method)} are both the tool ${name}: give one of them another name by mcp.tool of (ts_ms.v1.faces)`,
      );
    }
    owners.set(name, method);
  }
}

function chosen(tools: readonly RpcTool[], { tools: names }: McpOptions): readonly RpcTool[] {
  if (names.length === 0) return tools;
  const missing = names.find((name) => !tools.some((tool) => tool.name === name));
  if (missing !== undefined) {
    const known = tools.map(({ name }) => name).join(", ");
    throw new SetupError(`mcp: there is no tool ${missing}; there are ${known === "" ? "none" : known}`);
  }
  return tools.filter(({ name }) => names.includes(name));
}

/** @throws SetupError for a header of a field that is no text, whole number or truth value, or a header twice */
function headersOf(method: DescMethod, fieldNames: "json" | "proto"): readonly HeaderArgument[] {
  const found: HeaderArgument[] = [];
  for (const field of method.input.fields) {
    const header = hasOption(field, field_faces) ? getOption(field, field_faces).mcpHeader : "";
    if (header === "") continue;
    const fail = (problem: string): SetupError =>
      new SetupError(`mcp: ${rpcName(method)}: mcp_header of ${field.name}: ${problem}`);
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(header)) throw fail(`${JSON.stringify(header)} is no name of a header`);
    if (!takesHeader(field)) throw fail("only a text, a whole number or a truth value can be in a header");
    if (found.some((one) => one.header.toLowerCase() === header.toLowerCase()))
      throw fail(`${header} is that of another field too`);
    found.push({ argument: fieldNames === "json" ? field.jsonName : field.name, header });
  }
  return found;
}

/** Numbers of scalar types that are no texts, whole numbers or truth values: double, float and bytes. */
const unfit: ReadonlySet<number> = new Set([1, 2, 12]);

function takesHeader(field: DescField): boolean {
  return field.fieldKind === "scalar" && !unfit.has(field.scalar);
}
