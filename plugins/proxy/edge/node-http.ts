/**
 * What edges use of node:http. An `import` of it would read every one of its exports, among them those for which Node
 * loads a WebSocket client that no edge needs: 11 MiB.
 */
export const { createServer, METHODS, request, ServerResponse, STATUS_CODES } =
  process.getBuiltinModule('node:http')
