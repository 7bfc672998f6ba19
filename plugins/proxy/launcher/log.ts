/** One line of JSON on standard output, which is the launcher's log file. */
export function log(message: string, fields: Record<string, unknown> = {}): void {
  process.stdout.write(
    `${JSON.stringify({ at: new Date().toISOString(), pid: process.pid, message, ...fields })}\n`,
  )
}
