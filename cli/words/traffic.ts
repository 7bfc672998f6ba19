import type { Command } from 'commander'
import type { Asking } from '../program.ts'
import { examples, wholeNumber } from './argument.ts'

export function addTraffic(rivetr: Command, asking: Asking): void {
  addRoutes(rivetr, asking)
  const module = () => import('../commands/traffic.ts')
  rivetr
    .command('traffic <app>')
    .description('how the traffic of an app goes: maintenance, error pages, pause')
    .action(asking(async () => (await module()).showTraffic))
  rivetr
    .command('maintenance <app> <on|off>')
    .description('answer every request of an app with 503 and a page')
    .option('--page <file>', 'an HTML page of your own')
    .option('--retry-after <seconds>', 'when clients shall come again (300)', wholeNumber)
    .addHelpText('after', () =>
      examples(['rivetr maintenance shop on --page soon.html', 'rivetr maintenance shop off']),
    )
    .action(asking(async () => (await module()).setMaintenance))
  rivetr
    .command('error-page <app> <status> [file]')
    .description(
      'an HTML page in place of the 404, 413, 502, 503 or 504 of Rivetr; without a file its own again',
    )
    .action(asking(async () => (await module()).setErrorPage))
  rivetr
    .command('pause <app>')
    .description('make new requests of an app wait; they go on by themselves at the limit')
    .option('--limit <seconds>', 'at most 600', wholeNumber, '60')
    .addHelpText('after', () => examples(['rivetr pause shop --limit 30', 'rivetr resume shop']))
    .action(asking(async () => (await module()).pause))
  rivetr
    .command('resume <app>')
    .description('let the requests of a paused app go')
    .action(asking(async () => (await module()).resume))
}

function addRoutes(rivetr: Command, asking: Asking): void {
  const module = () => import('../commands/routes.ts')
  const routes = rivetr
    .command('routes')
    .description('under which hosts an app answers: list, add, remove, set')
  routes
    .command('list <app>')
    .description('all routes')
    .action(asking(async () => (await module()).listRoutes))
  routes
    .command('add <app> <host/path>')
    .description('add a route, or replace the one of this host and path')
    .option(
      '--both',
      'serve plain HTTP too; without it, plain HTTP is sent to HTTPS once there is a certificate',
    )
    .option('--strip-path', 'the app gets the path without the prefix')
    .option('--redirect <url>', 'send clients there, path and query kept, instead of to the app')
    .option('--max-body <bytes>', 'refuse longer request bodies', wholeNumber)
    .option(
      '--basic-auth <name>',
      'ask for this user; the password comes from standard input (the route is closed until edges check it)',
    )
    .addHelpText('after', () =>
      examples([
        'rivetr routes add shop example.com/api --strip-path',
        'rivetr routes add shop www.example.com --redirect https://example.com',
        'rivetr routes add shop admin.example.com --basic-auth ada < password',
      ]),
    )
    .action(asking(async () => (await module()).addRoute))
  routes
    .command('remove <app> <host/path>')
    .description('remove a route')
    .action(asking(async () => (await module()).removeRoute))
  routes
    .command('set <app> [host/path...]')
    .description('replace all routes; none takes the app off the net')
    .addHelpText('after', () => examples(['rivetr routes set shop shop.example.com example.com/shop']))
    .action(asking(async () => (await module()).setRoutes))
}
