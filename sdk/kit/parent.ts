import { randomUUID } from 'node:crypto'

/**
 * In the environment of every program that `spawn` starts, and of what those start: the process it works for. One that is
 * killed cannot end its programs; whoever takes its place finds them by this. It is there before the program's first
 * instruction, and means nobody else, which a number of a process could.
 */
export const parentVariable = 'RIVETR_PARENT'

/** The id of this process, new with each. */
export const parentId: string = randomUUID()
