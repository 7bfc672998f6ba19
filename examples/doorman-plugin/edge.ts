import { defineEdge } from '@rivetr/sdk/edge'

export default defineEdge<{ closedPaths: string[] }>({
  name: 'doorman',
  request({ path, client }, { closedPaths }) {
    if (closedPaths.includes(path)) return { answer: { status: 404, body: 'Not here.\n' } }
    return { headers: { 'X-Doorman-Saw': client } }
  },
  response: () => ({ headers: { 'X-Frame-Options': 'DENY', Server: null } }),
})
