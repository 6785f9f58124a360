// /dlq: groups with dead letters.
import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useTopics } from '../../api/queries'
import type { Topic } from '../../api/types'
import { carried, useUrl } from '../../app/url'
import { useT } from '../../i18n'
import { count } from '../../lib/format'
import { Answer, Loaded } from '../../parts/answer'
import { TextFilter } from '../../parts/filters'
import { Age, Go } from '../../parts/small'
import { Table, type Column } from '../../parts/table'

const prefix = '%DLQ%'
const groupOf = (t: Topic) => t.name.slice(prefix.length)

export function DeadPage() {
  const t = useT()
  const query = useTopics()
  const navigate = useNavigate()
  const [params] = useUrl()
  const rows = useMemo(() => (query.data?.topics ?? []).filter((x) => x.name.startsWith(prefix) && x.messages > 0), [query.data])
  const columns = useMemo<Column<Topic>[]>(
    () => [
      { id: 'group', label: t.dead.group, width: 260, grow: 2, value: groupOf, render: (r) => <Go to="/dlq/$group" params={{ group: groupOf(r) }}>{groupOf(r)}</Go> },
      { id: 'letters', label: t.dead.letters, width: 140, right: true, value: (r) => r.messages, render: (r) => count(r.messages) },
      { id: 'last', label: t.dead.last, width: 140, right: true, value: (r) => r.lastStoredAt, render: (r) => (r.lastStoredAt ? <Age ms={r.lastStoredAt} /> : '') },
    ],
    [t],
  )
  const total = rows.reduce((n, r) => n + r.messages, 0)
  const go = (r: Topic) => void navigate({ to: '/dlq/$group', params: { group: groupOf(r) } as never, search: carried(params) as never })
  return (
    <>
      <div className="head">
        <h1>{t.dead.title}</h1>
        {rows.length > 0 && <span className="say">{t.dead.sentence(count(total), count(rows.length))}</span>}
      </div>
      <div className="strip"><TextFilter what={t.dead.group} /><span className="grow" /><span className="dim" style={{ fontSize: 13 }}>{t.dead.oldest}</span></div>
      <Loaded query={query}>
        {() => (
          <div className="grow fill">
            <Table rows={rows} columns={columns} rowKey={(r) => r.name} label={t.dead.title} name="dead-letters" filter={params.q} sort="letters.desc" open={go} updatedAt={query.dataUpdatedAt} empty={<Answer tone="ok" title={t.dead.empty}><p>{t.dead.emptyText}</p></Answer>} />
          </div>
        )}
      </Loaded>
    </>
  )
}
