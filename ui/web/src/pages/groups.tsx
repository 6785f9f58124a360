// /groups: all consumer groups, the ones that need somebody first.
import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useGroups } from '../api/queries'
import type { Group } from '../api/types'
import { carried, useUrl } from '../app/url'
import { Spark } from '../charts/spark'
import { useT } from '../i18n'
import { count } from '../lib/format'
import { rateOf, samplesOf, trendOf } from '../lib/totals'
import { Answer, Loaded } from '../parts/answer'
import { Choice, TextFilter, Toggle } from '../parts/filters'
import { Age } from '../parts/small'
import { Table, type Column } from '../parts/table'
import { GroupState } from './overview/lists'
import { Rate, useTotals } from './topics'

export const needy = (g: Group) => (!g.online && g.lagMessages > 0) || !g.subscriptionsConsistent

function useColumns(polled: number): Column<Group>[] {
  const t = useT()
  return useMemo(() => {
    const c = t.groups
    const rateOut = (g: Group) => rateOf(samplesOf('groups', g.name))
    return [
      { id: 'name', label: c.name, width: 180, grow: 2, value: (g) => g.name, render: (g) => <span title={g.name}>{g.name}</span> },
      { id: 'state', label: c.state, width: 100, value: (g) => (g.online ? 2 : g.lagMessages ? 0 : 1), render: (g) => <GroupState group={g} /> },
      { id: 'members', label: c.members, width: 84, right: true, value: (g) => g.members.length },
      { id: 'lag', label: c.lag, width: 110, right: true, value: (g) => g.lagMessages, render: (g) => <span className={g.lagMessages ? 'warn' : 'dim'}>{count(g.lagMessages)}</span> },
      { id: 'oldest', label: c.oldest, width: 130, right: true, value: (g) => g.oldestWaitingAt || Infinity, render: (g) => (g.oldestWaitingAt ? <Age ms={g.oldestWaitingAt} /> : <span className="dim">–</span>) },
      { id: 'rate', label: c.rate, width: 116, right: true, value: (g) => rateOut(g) ?? -1, render: (g) => <Rate value={rateOut(g)} /> },
      { id: 'trend', label: c.trend, width: 124, fixed: true, value: (g) => trendOf(samplesOf('groups', g.name)).map((v) => v.toFixed(1)).join(' '), render: (g) => <Spark values={trendOf(samplesOf('groups', g.name))} color="var(--work)" /> },
      { id: 'subscriptions', label: c.subscriptions, width: 130, value: (g) => (g.subscriptionsConsistent ? 1 : 0), render: (g) => (g.subscriptionsConsistent ? <span className="dim">{g.members.length > 1 ? `✓ ${c.consistent}` : '–'}</span> : <span className="tag warn">! {c.differ}</span>) },
      { id: 'model', label: c.model, width: 110, value: (g) => g.model, render: (g) => ({ CLUSTERING: c.clustering, BROADCASTING: c.broadcasting })[g.model] ?? <span className="dim">–</span> },
      { id: 'type', label: c.type, width: 80, value: (g) => g.consumeType, render: (g) => c.types[g.consumeType] ?? '' },
      { id: 'out', label: c.out, width: 120, right: true, hidden: true, value: (g) => g.messagesOutTotal, render: (g) => count(g.messagesOutTotal) },
      { id: 'retries', label: c.retries, width: 100, right: true, hidden: true, value: (g) => g.retryMaxTimes },
    ]
    // eslint-disable-next-line react-hooks/exhaustive-deps -- rates are read anew after each poll
  }, [t, polled])
}

export function GroupsPage() {
  const t = useT()
  const query = useGroups()
  const columns = useColumns(useTotals('groups', query.dataUpdatedAt, () => (query.data?.groups ?? []).map((g) => [g.name, g.messagesOutTotal])))
  const navigate = useNavigate()
  const [params] = useUrl()
  const all = useMemo(() => (query.data?.groups ?? []).filter((g) => params.system === '1' || !g.system), [query.data, params.system])
  const rows = useMemo(() => all.filter((g) => (params.state === 'needy' ? needy(g) : params.state === 'online' ? g.online : params.state === 'offline' ? !g.online : true)), [all, params.state])
  const open = (g: Group, newTab: boolean) => (newTab ? void window.open(`/groups/${encodeURIComponent(g.name)}`, '_blank', 'noopener') : void navigate({ to: '/groups/$group', params: { group: g.name } as never, search: carried(params) as never }))
  const states = [{ id: 'all', label: t.groups.all }, { id: 'needy', label: `${t.groups.needy} ${count(all.filter(needy).length)}` }, { id: 'online', label: t.groups.online }, { id: 'offline', label: t.groups.offline }]
  return (
    <>
      <div className="head">
        <h1>{t.groups.title}</h1>
        {query.data && <span className="say">{t.groups.sentence(count(all.length), count(all.filter((g) => g.online).length))}</span>}
      </div>
      <div className="strip">
        <TextFilter what={t.groups.title} />
        <Choice name="state" label={t.groups.state} standard="all" options={states} />
        <Toggle name="system" label={t.groups.system} />
      </div>
      <Loaded query={query}>
        {() => (
          <Table
            rows={rows} columns={columns} rowKey={(g) => g.name} label={t.groups.title} name="groups" filter={params.q} sort="lag.desc" open={open} updatedAt={query.dataUpdatedAt}
            empty={<Answer title={all.length ? t.groups.noneMatch(params.q ?? states.find((s) => s.id === params.state)?.label ?? '') : t.groups.empty} />}
          />
        )}
      </Loaded>
    </>
  )
}
