/**
 * Whether callers of an rpc, or those who get a file, must be known: `public` looks at no credentials, `optional` at
 * those that there are, `authenticated` needs good ones, `deny` lets no call pass.
 */
export type AccessLevel = "public" | "optional" | "authenticated" | "deny";

/** All levels, in the order of their strictness. */
export const accessLevels: readonly AccessLevel[] = ["public", "optional", "authenticated", "deny"];
