/** NATS does not let this user publish to a subject. The message was not taken. */
export class NatsRefused extends Error {
  constructor(subject: string) {
    super(`no permission to publish to ${subject}`);
    this.name = "NatsRefused";
  }
}
