import { decodeCapture, hasDotSegment } from "../../core/http-rule/percent.ts";
import type { PathDecoding } from "../../core/http-rule/percent.ts";
import type { PathTemplate, TemplateVariable } from "../../core/http-rule/path-template.ts";
import type { Route } from "../../core/http-rule/route.ts";

/** The begin of a segment, as a number of segments from the front or from the end of the path. */
interface Edge {
  readonly fromEnd: boolean;
  readonly segments: number;
}

/** How to extract the value of one template variable from a matching path. */
export interface Capture {
  /** The variable's field path in proto names, joined by dots. */
  readonly field: string;
  readonly multiSegment: boolean;
  readonly start: Edge;
  /** The begin of the segment after the last captured one, or the end of the path. */
  readonly end: Edge;
}

/** Why a captured value is invalid, as the second half of a sentence about the field. */
export interface CaptureProblem {
  readonly description: string;
}

const malformed: CaptureProblem = Object.freeze({ description: "is not valid percent-encoded UTF-8" });
const dotted: CaptureProblem = Object.freeze({ description: 'must not have a path segment "." or ".."' });

/** Compiles the captures of a route, one for each of its variables and in their order. */
export function compileCaptures(route: Route): readonly Capture[] {
  const { template } = route;
  return template.variables.map((variable, index) => ({
    field: variable.fieldPath.join("."),
    multiSegment: route.variables[index]?.multiSegment ?? false,
    ...edges(template, variable),
  }));
}

/**
 * The value that a variable captured.
 *
 * @param path the raw path, without query and verb
 */
export function readCapture(
  capture: Capture,
  path: string,
  decoding: PathDecoding,
  rejectDotSegments: boolean,
): string | CaptureProblem {
  const start = segmentStart(path, capture.start);
  // A `**` that matches no segment ends one character before its start.
  const raw = path.slice(start, Math.max(start, segmentStart(path, capture.end) - 1));
  const value = decodeCapture(raw, capture.multiSegment, decoding);
  if (value === undefined) return malformed;
  return rejectDotSegments && hasDotSegment(raw) ? dotted : value;
}

function edges(template: PathTemplate, variable: TemplateVariable): { start: Edge; end: Edge } {
  const total = template.segments.length;
  const rest = template.segments.findIndex(({ kind }) => kind === "rest");
  const edge = (segment: number): Edge => {
    // With `**` only the segments before it have a fixed distance from the front, and only those after it from the end.
    const fromEnd = rest === -1 ? total - segment <= segment : segment > rest;
    return { fromEnd, segments: fromEnd ? total - segment : segment };
  };
  return { start: edge(variable.start), end: edge(variable.end) };
}

function segmentStart(path: string, edge: Edge): number {
  return edge.fromEnd ? startFromEnd(path, edge.segments) : startFromFront(path, edge.segments);
}

function startFromFront(path: string, segments: number): number {
  let at = 1;
  for (let i = 0; i < segments; i++) {
    const slash = path.indexOf("/", at);
    at = slash === -1 ? path.length + 1 : slash + 1;
  }
  return at;
}

function startFromEnd(path: string, segments: number): number {
  let at = path.length + 1;
  for (let i = 0; i < segments; i++) at = path.lastIndexOf("/", at - 2) + 1;
  return at;
}
