// Addresses. Search parameters stay plain text, so that a link can be read.
import { Outlet, createRootRoute, createRoute, createRouter } from '@tanstack/react-router'
import { Answer } from '../parts/answer'
import { useT } from '../i18n'
import { ClientsPage } from '../pages/clients/page'
import { GroupPage } from '../pages/group'
import { GroupsPage } from '../pages/groups'
import { MessagePage } from '../pages/message/page'
import { MessagesPage } from '../pages/messages/page'
import { OverviewPage } from '../pages/overview/page'
import { DeadGroupPage } from '../pages/dead/group'
import { DeadPage } from '../pages/dead/page'
import { ScheduledPage } from '../pages/scheduled/page'
import { TransactionsPage } from '../pages/transactions'
import { TopicPage } from '../pages/topic'
import { TopicsPage } from '../pages/topics'
import { Shell } from './shell'
import { parse, print, type UrlParams } from './url'

const root = createRootRoute({
  validateSearch: (s: Record<string, unknown>) => s as UrlParams,
  component: () => (
    <Shell>
      <Outlet />
    </Shell>
  ),
  notFoundComponent: NotFound,
  errorComponent: Crashed,
})

function NotFound() {
  const t = useT()
  return (
    <Answer tone="none" title={t.problem.notFound}>
      <p>{t.problem.notFoundText}</p>
    </Answer>
  )
}

function Crashed({ error }: { error: unknown }) {
  const t = useT()
  return (
    <Answer tone="bad" title={t.problem.crashed}>
      <p className="mono">{String(error)}</p>
    </Answer>
  )
}

const page = <P extends string>(path: P, component: () => React.ReactNode) => createRoute({ getParentRoute: () => root, path, component, errorComponent: Crashed })

const tree = root.addChildren([
  page('/', OverviewPage),
  page('/messages', MessagesPage),
  page('/messages/$id', MessagePage),
  page('/scheduled', ScheduledPage),
  page('/transactions', TransactionsPage),
  page('/dlq', DeadPage),
  page('/dlq/$group', DeadGroupPage),
  page('/topics', TopicsPage),
  page('/topics/$topic', TopicPage),
  page('/groups', GroupsPage),
  page('/groups/$group', GroupPage),
  page('/clients', ClientsPage),
])

export const router = createRouter({ routeTree: tree, parseSearch: parse, stringifySearch: (s) => print(s as UrlParams), defaultPreload: false, scrollRestoration: false })

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
