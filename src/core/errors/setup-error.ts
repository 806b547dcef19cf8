/**
 * What is wrong with the options, flags, files or contracts that a server is made of, in words that name it: programs
 * print the message and need no stack.
 */
export class SetupError extends TypeError {}

/** What is wrong with the value of a flag, which the message names; programs end with code 2, as for unknown flags. */
export class FlagError extends SetupError {}
