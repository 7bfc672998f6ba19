/** This machine cannot run the test at all (no root, no apt): its tests are skipped by name, never passed over. */
export class MissingPart extends Error {
  override readonly name = 'MissingPart'
}

export function requireRoot(what: string): void {
  if (process.getuid?.() !== 0) throw new MissingPart(`${what} needs root`)
}
