import { z } from '@rivetr/sdk'

/** What a person may set of the containers of replicas; the part of a runtime's configuration that every engine shares. */
export const containerSettings = {
  reach: z
    .enum(['auto', 'bridge', 'loopback'])
    .default('auto')
    .describe(
      'How the proxy reaches a replica: bridge is its address on the network of Rivetr, loopback a fixed port of 127.0.0.1. ' +
        'The relay of published ports costs half of the throughput, so auto takes bridge wherever this machine has it',
    ),
  logMaxSize: z
    .string()
    .regex(/^[1-9]\d*[kmg]$/, 'a size such as 10m')
    .default('10m')
    .describe('The log of a replica is begun anew at this size'),
  logMaxFiles: z.int().min(1).max(100).default(3).describe('So many logs of a replica are kept'),
  pidsLimit: z
    .int()
    .min(1)
    .default(512)
    .describe('Processes and threads of a replica whose app names no limit'),
  capDrop: z
    .array(z.string())
    .default(['AUDIT_WRITE', 'MKNOD', 'NET_RAW', 'SETFCAP', 'SETPCAP'])
    .describe('Linux capabilities that no replica has; images that change their user at start still work'),
  noNewPrivileges: z
    .boolean()
    .default(true)
    .describe('Programs such as sudo and su give a replica no more rights than it started with'),
}

const whole = z.strictObject(containerSettings)
export type ContainerSettings = ReturnType<typeof whole.parse>
