import {
  type AnyRoute,
  type Apps,
  type Deployments,
  defineRoute,
  deploymentSchema,
  RivetrError,
  z,
} from '@rivetr/sdk'
import { type Archives, parseName } from './archives.ts'

interface UploadParts {
  readonly apps: Apps
  readonly deployments: Deployments
  readonly archives: Archives
  readonly limitBytes: number
}

export function uploadRoute({ apps, deployments, archives, limitBytes }: UploadParts): AnyRoute {
  return defineRoute({
    method: 'POST',
    path: '/api/apps/:id/upload',
    summary: 'Deploy the files of an archive: tar, tar.gz or zip, as the body',
    access: 'apps:deploy',
    params: z.object({ id: z.string().max(100) }),
    query: z.object({ message: z.string().max(1_000).optional() }),
    bodyStream: { limitBytes },
    returns: deploymentSchema,
    status: 202,
    async handler({ principal, params, query: { message }, bodyStream, requestId, signal }) {
      const { id, name, source } = await apps.get(principal, params.id)
      if (source.kind !== 'upload')
        throw new RivetrError(
          'conflict',
          `the source of "${name}" is ${source.url}: "rivetr apps update ${name} --source upload:${name}" makes it take uploads`,
        )
      const commit = await archives.put(parseName(source.url), bodyStream, signal)
      return deployments.request(principal, id, { kind: 'manual', commit, message, requestId })
    },
  })
}
