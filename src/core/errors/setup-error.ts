/**
 * A problem with the options, flags, files or contracts of a server. The message names what is wrong, so programs print
 * it without a stack.
 */
export class SetupError extends TypeError {}

/** A problem with the value of a flag, which the message names. Programs exit with code 2, as for unknown flags. */
export class FlagError extends SetupError {}
