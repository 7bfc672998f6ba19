export { confine, isInside } from './confine.ts'
export { mask } from './mask.ts'
export { killGroup, spawn, type SpawnOptions, type SpawnResult } from './spawn.ts'
