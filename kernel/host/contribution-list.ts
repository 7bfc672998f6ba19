import { isDeepStrictEqual } from 'node:util'
import {
  type AnyRoute,
  type Contributions,
  type EdgeContribution,
  type Manifest,
  type PageContribution,
  RivetrError,
  type WidgetContribution,
} from '@rivetr/sdk'

/** What plugins contribute as data: routes, pages, widgets. */
export class ContributionList implements Contributions {
  routes: readonly { plugin: string; route: AnyRoute }[] = []
  pages: readonly { plugin: string; page: PageContribution }[] = []
  widgets: readonly { plugin: string; widget: WidgetContribution }[] = []
  edges: readonly EdgeContribution[] = []
  readonly #listeners = new Set<() => void>()

  addRoute({ name, routes }: Manifest, route: AnyRoute): () => void {
    const prefixes = routes.length > 0 ? routes : [`/api/x/${name}`]
    if (
      !prefixes.some(
        (prefix) =>
          route.path === prefix || route.path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`),
      )
    ) {
      throw new RivetrError(
        'plugin_invalid',
        `plugin ${name} may not have the route ${route.path}; its prefixes are ${prefixes.join(', ')}`,
      )
    }
    const taken = this.routes.find(
      (other) => other.route.method === route.method && other.route.path === route.path,
    )
    if (taken !== undefined)
      throw new RivetrError(
        'plugin_invalid',
        `${route.method} ${route.path} is a route of plugin ${taken.plugin} already`,
      )
    const entry = { plugin: name, route }
    this.routes = [...this.routes, entry]
    return this.#undo(() => {
      this.routes = this.routes.filter((other) => other !== entry)
    })
  }

  addPage(plugin: string, page: PageContribution): () => void {
    const entry = { plugin, page }
    this.pages = [...this.pages, entry]
    return this.#undo(() => {
      this.pages = this.pages.filter((other) => other !== entry)
    })
  }

  addWidget(plugin: string, widget: WidgetContribution): () => void {
    const entry = { plugin, widget }
    this.widgets = [...this.widgets, entry]
    return this.#undo(() => {
      this.widgets = this.widgets.filter((other) => other !== entry)
    })
  }

  addEdge(edge: EdgeContribution): () => void {
    if (!isDeepStrictEqual(edge.config, JSON.parse(JSON.stringify(edge.config))))
      throw new RivetrError(
        'plugin_invalid',
        `edgeConfig of plugin ${edge.plugin} returns what is no plain data: JSON has to carry it`,
      )
    this.edges = [...this.edges, edge]
    return this.#undo(() => {
      this.edges = this.edges.filter((other) => other !== edge)
    })
  }

  onChange(run: () => void): () => void {
    this.#listeners.add(run)
    return () => this.#listeners.delete(run)
  }

  #undo(remove: () => void): () => void {
    this.#changed()
    return () => {
      remove()
      this.#changed()
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}
