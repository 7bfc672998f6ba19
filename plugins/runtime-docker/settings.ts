import { containerSettings } from '@rivetr/engine-api/container-settings'
import { z } from '@rivetr/sdk'

export const dockerSettings = z.strictObject({
  socket: z
    .string()
    .min(1)
    .optional()
    .describe('Where the engine listens; without it DOCKER_HOST, or else unix:///var/run/docker.sock'),
  ...containerSettings,
})
