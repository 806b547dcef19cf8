/** What names an expression uses. */
export interface Identifiers {
  /** Names that no part of the expression itself binds. */
  readonly free: ReadonlySet<string>;
  /** The fields that are read of such a name itself: `a` of `request.a.b`. */
  readonly selected: ReadonlyMap<string, ReadonlySet<string>>;
}

/** A part of a parsed expression, as far as its names matter. */
interface Part {
  readonly exprKind?: { readonly case?: string | undefined; readonly value?: unknown };
}

interface Select {
  readonly operand?: Part;
  readonly field: string;
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

/** Finds the names in an expression of CEL (cel.expr.Expr). */
export function identifiersOf(expression: object): Identifiers {
  const free = new Set<string>();
  const selected = new Map<string, Set<string>>();
  visit(expression, new Set(), free, selected);
  return { free, selected };
}

function visit(
  part: Part | undefined,
  bound: ReadonlySet<string>,
  free: Set<string>,
  selected: Map<string, Set<string>>,
): void {
  const { case: kind, value } = part?.exprKind ?? {};
  if (kind === undefined || typeof value !== "object" || value === null) return;
  if (kind === "identExpr") {
    const name = nameIn(value);
    if (!bound.has(name)) free.add(name);
    return;
  }
  if (kind === "selectExpr") {
    const { operand, field } = value as Select; // As its kind says.
    const owner = operand?.exprKind;
    if (owner?.case === "identExpr") {
      const name = nameIn(owner.value);
      if (!bound.has(name)) selected.set(name, (selected.get(name) ?? new Set<string>()).add(field));
    }
    visit(operand, bound, free, selected);
    return;
  }
  if (kind === "comprehensionExpr") {
    const loop = value as Comprehension; // As its kind says.
    visit(loop.iterRange, bound, free, selected);
    visit(loop.accuInit, bound, free, selected);
    const inside = new Set([...bound, loop.iterVar, loop.iterVar2 ?? "", loop.accuVar]);
    for (const inner of [loop.loopCondition, loop.loopStep, loop.result]) {
      visit(inner, inside, free, selected);
    }
    return;
  }
  for (const inner of partsOf(value)) visit(inner, bound, free, selected);
}

/** The parts of calls, lists, maps and messages. */
function partsOf(value: object): Part[] {
  return Object.values(value).flatMap((member: unknown): Part[] => {
    if (Array.isArray(member)) return member.flatMap((one: object) => (isPart(one) ? [one] : partsOf(one)));
    if (typeof member !== "object" || member === null) return [];
    return isPart(member) ? [member] : "case" in member ? partsOf(member) : [];
  });
}

function isPart(value: object): value is Part {
  return "exprKind" in value;
}

function nameIn(value: unknown): string {
  return (value as { readonly name: string }).name; // Of an identifier.
}
