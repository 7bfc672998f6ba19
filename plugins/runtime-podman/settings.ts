import { containerSettings } from '@rivetr/engine-api/container-settings'
import { z } from '@rivetr/sdk'

export const podmanSettings = z.strictObject({
  socket: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Where Podman's API listens; without it CONTAINER_HOST, or the socket that systemd serves, or a service of Rivetr's own",
    ),
  serve: z
    .boolean()
    .default(true)
    .describe('Run "podman system service" where Podman is installed and no socket is there'),
  ...containerSettings,
})
