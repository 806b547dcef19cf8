import { createHash } from "node:crypto";
import { type ConnectError, invalidArgument } from "../../core/errors/errors.ts";
import { compileSelector, type Selector, type SelectorScope } from "./selector.ts";
import type { Connection } from "./connection.ts";
import type { Table } from "./table.ts";

/** A part of a list of connections. */
export interface ConnectionPage {
  readonly connections: readonly Connection[];
  /** What the next page begins with; undefined for the last one. */
  readonly nextPageToken: string | undefined;
  /** Nodes that have not answered. */
  readonly unreachable: readonly string[];
}

/** Which part of a list. */
export interface PageOptions {
  /** How many there are on a page, at most 1,000. Default: 100. */
  readonly pageSize?: number;
  /** `nextPageToken` of the page before. Default: the first page. */
  readonly pageToken?: string;
}

const defaultPageSize = 100;
const maxPageSize = 1_000;
const tokenForm = /^([\w-]{8})\.(\d{1,15})$/;

/** A page of the connections that a selector selects, in the order of their numbers. @throws ConnectError INVALID_ARGUMENT */
export async function pageOf(
  table: Table,
  scope: SelectorScope,
  selector: Selector,
  { pageSize = 0, pageToken = "" }: PageOptions,
): Promise<ConnectionPage> {
  const size = sizeOf(pageSize);
  const matches = compileSelector(selector, scope);
  const query = digestOf(selector);
  const connections: Connection[] = [];
  let last = pageToken === "" ? 0 : numberIn(pageToken, query);
  let hasMore = false;
  await table.each(last, (entry) => {
    if (!entry.isSelected(matches)) return true;
    hasMore = connections.length === size;
    if (hasMore) return false;
    last = entry.number;
    connections.push(entry.describe());
    return true;
  });
  return { connections, nextPageToken: hasMore ? `${query}.${last}` : undefined, unreachable: [] };
}

/** How many there are on a page. @throws ConnectError INVALID_ARGUMENT */
export function sizeOf(pageSize: number): number {
  if (!(pageSize >= 0)) throw invalidArgument(`pageSize: ${pageSize} is no size of a page`);
  return pageSize === 0 ? defaultPageSize : Math.min(Math.ceil(pageSize), maxPageSize);
}

/** @throws ConnectError INVALID_ARGUMENT for a token of another query */
function numberIn(token: string, query: string): number {
  const [, owner, number = ""] = tokenForm.exec(token) ?? [];
  if (owner === query) return Number(number);
  throw otherQuery();
}

/** For a token of another query. */
export function otherQuery(): ConnectError {
  const description = "it is of another query";
  return invalidArgument(`pageToken: ${description}`, [{ field: "pageToken", description }]);
}

/** What tells the query of a token from others. */
export function digestOf(query: unknown): string {
  return createHash("sha256").update(JSON.stringify(query)).digest("base64url").slice(0, 8);
}
