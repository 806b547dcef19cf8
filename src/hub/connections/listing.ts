import { createHash } from "node:crypto";
import { type ConnectError, invalidArgument } from "../../core/errors/errors.ts";
import type { Connection } from "./connection.ts";
import type { Matches } from "./selectable.ts";
import type { Selector } from "./selector.ts";
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
const tokenForm = /^([\w-]{8})\.([0-9A-Za-z]{1,64})-(\d{1,15})$/;

/** Which connections are on a page. */
export interface PageAsked {
  /** What tells the query from others. */
  readonly query: string;
  readonly size: number;
  /** How many of a node are looked for: one more than the page has shows that another one follows. */
  readonly limit: number;
  /** The last one of the page before. */
  readonly after: { readonly node: string; readonly number: number };
}

/** @throws ConnectError INVALID_ARGUMENT */
export function pageAsked(selector: Selector, { pageSize = 0, pageToken = "" }: PageOptions): PageAsked {
  const size = sizeOf(pageSize);
  const query = digestOf(selector);
  if (pageToken === "") return { query, size, limit: size + 1, after: { node: "", number: 0 } };
  const [, owner, node = "", number] = tokenForm.exec(pageToken) ?? [];
  if (owner !== query) throw otherQuery();
  return { query, size, limit: size + 1, after: { node, number: Number(number) } };
}

/** Connections that a selector selects, in the order of their numbers. @param after number of the one before them */
export async function listOf(
  table: Table,
  matches: Matches,
  after: number,
  limit: number,
): Promise<readonly Connection[]> {
  const connections: Connection[] = [];
  await table.each(after, (entry) => {
    if (entry.isSelected(matches)) connections.push(entry.describe());
    return connections.length < limit;
  });
  return connections;
}

/** The page of what nodes have found. @param found those of each node in the order of their numbers */
export function joinPages(
  found: readonly Connection[],
  { query, size }: PageAsked,
  unreachable: readonly string[],
): ConnectionPage {
  // Numbers of a node are in order already.
  const sorted = found.toSorted((one, other) => (one.node < other.node ? -1 : one.node > other.node ? 1 : 0));
  const connections = sorted.slice(0, size);
  const last = sorted.length > size ? connections.at(-1) : undefined;
  return { connections, nextPageToken: last && `${query}.${last.id}`, unreachable };
}

/** How many there are on a page. @throws ConnectError INVALID_ARGUMENT */
export function sizeOf(pageSize: number): number {
  if (!(pageSize >= 0)) throw invalidArgument(`pageSize: ${pageSize} is no size of a page`);
  return pageSize === 0 ? defaultPageSize : Math.min(Math.ceil(pageSize), maxPageSize);
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
