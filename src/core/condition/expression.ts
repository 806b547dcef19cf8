/** A part of a parsed expression of CEL (cel.expr.Expr), as far as it is looked at. */
export interface Part {
  readonly exprKind?: { readonly case?: string | undefined; readonly value?: unknown };
}

interface Call {
  readonly function: string;
  readonly target?: Part;
  readonly args: readonly Part[];
}

interface Select {
  readonly operand?: Part;
  readonly field: string;
  readonly testOnly: boolean;
}

interface Comprehension {
  readonly iterVar: string;
  readonly iterVar2?: string;
  readonly accuVar: string;
  readonly iterRange?: Part;
  readonly accuInit?: Part;
  readonly loopCondition?: Part;
  readonly loopStep?: Part;
  readonly result?: Part;
}

interface Constant {
  readonly constantKind?: { readonly case?: string };
}

interface Elements {
  readonly elements?: readonly Part[];
}

interface Entries {
  readonly entries?: readonly { readonly keyKind?: { readonly value?: unknown }; readonly value?: Part }[];
}

/** A part by its kind; parts of it may be missing where the expression is not whole. */
export type Term =
  | { readonly kind: "constant"; readonly of: string | undefined }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "select"; readonly operand: Term; readonly field: string; readonly isTest: boolean }
  | {
      readonly kind: "call";
      readonly name: string;
      readonly target: Term | undefined;
      readonly args: readonly Term[];
    }
  | { readonly kind: "collection"; readonly parts: readonly Term[] }
  | {
      readonly kind: "loop";
      /** What it binds. */
      readonly names: readonly string[];
      readonly range: Term;
      readonly initial: Term;
      /** What is computed for each element, and the result. */
      readonly inside: readonly Term[];
      readonly result: Term;
    }
  | { readonly kind: "nothing" };

/** The terms of a parsed expression. */
export function termOf(part: Part | undefined): Term {
  const { case: kind, value } = part?.exprKind ?? {};
  switch (kind) {
    case "constExpr":
      return { kind: "constant", of: (value as Constant).constantKind?.case }; // All casts: by the kind.
    case "identExpr":
      return { kind: "name", name: (value as { readonly name: string }).name };
    case "selectExpr": {
      const { operand, field, testOnly } = value as Select;
      return { kind: "select", operand: termOf(operand), field, isTest: testOnly };
    }
    case "callExpr": {
      const { function: name, target, args } = value as Call;
      return { kind: "call", name, target: target && termOf(target), args: args.map(termOf) };
    }
    case "listExpr":
      return { kind: "collection", parts: ((value as Elements).elements ?? []).map(termOf) };
    case "structExpr":
      return { kind: "collection", parts: entriesOf(value as Entries) };
    case "comprehensionExpr":
      return loopOf(value as Comprehension);
    default:
      return { kind: "nothing" };
  }
}

/** The parts of a term. */
export function partsOf(term: Term): readonly Term[] {
  switch (term.kind) {
    case "select":
      return [term.operand];
    case "call":
      return term.target === undefined ? term.args : [term.target, ...term.args];
    case "collection":
      return term.parts;
    case "loop":
      return [term.range, term.initial, ...term.inside];
    default:
      return [];
  }
}

function entriesOf({ entries = [] }: Entries): Term[] {
  return entries.flatMap(({ keyKind, value }) => {
    const key = keyKind?.value;
    const isPart = typeof key === "object" && key !== null && "exprKind" in key;
    return [...(isPart ? [termOf(key as Part)] : []), termOf(value)];
  });
}

function loopOf(loop: Comprehension): Term {
  const { iterVar, iterVar2 = "", accuVar, iterRange, accuInit, loopCondition, loopStep } = loop;
  const result = termOf(loop.result);
  return {
    kind: "loop",
    names: [iterVar, iterVar2, accuVar].filter((name) => name !== ""),
    range: termOf(iterRange),
    initial: termOf(accuInit),
    inside: [termOf(loopCondition), termOf(loopStep), result],
    result,
  };
}
