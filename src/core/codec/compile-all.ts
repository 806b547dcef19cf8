/** Something whose parts are found only when it is compiled. */
interface Compiled {
  compile(): void;
}

const open: Compiled[] = [];
let isCompiling = false;

/**
 * Compiles something, and whatever is given here meanwhile: one after the other, so that types that contain one another,
 * thousands deep, take no more of the stack than one. What is given by a compilation is not compiled when this returns.
 */
export function compileAll(first: Compiled): void {
  open.push(first);
  if (isCompiling) return;
  isCompiling = true;
  try {
    for (let next = open.pop(); next !== undefined; next = open.pop()) next.compile();
  } finally {
    isCompiling = false; // After an error the others are compiled with what is given next.
  }
}
