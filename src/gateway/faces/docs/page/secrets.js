/** Header fields whose values are kept out of addresses, histories and snippets. */

const names =
  /^(?:cookie|authorization|proxy-authorization)$|(?:^|[-_])(?:api-?)?(?:key|token|secret|password|credential|session)s?(?:[-_]|$)/i;

/**
 * Whether the value of a header is a secret.
 *
 * @param {string} name
 */
export function isSecret(name) {
  return names.test(name.trim());
}
