// /messages/$id: the story of one message.
import { useParams } from '@tanstack/react-router'
import { useMemo } from 'react'
import { path } from '../../api/client'
import { useLife } from '../../api/queries'
import type { MessageLife } from '../../api/types'
import { copy } from '../../app/say'
import { useUrl } from '../../app/url'
import { useT } from '../../i18n'
import { apiCall, cli } from '../../lib/cli'
import { otherCase } from '../../lib/ids'
import { build, copiesOf } from '../../lib/waterfall/model'
import { Answer, Loaded } from '../../parts/answer'
import { Tabs } from '../../parts/panel'
import { Go } from '../../parts/small'
import { LifeActs } from './acts'
import { BodyTab, PropertiesTab } from './body'
import { Header } from './header'
import { JsonTab } from './json'
import { LineageTab } from './lineage'
import { RecordsTab } from './records'
import { StepPanel } from './step-panel'
import { StepsTab } from './steps'
import { Timeline } from './timeline'
import { Verdicts } from './verdicts'

export function MessagePage() {
  const { id } = useParams({ strict: false }) as { id: string }
  const query = useLife(id)
  const other = otherCase(id)
  const nothing = query.data !== undefined && copiesOf(query.data).length === 0
  const second = useLife(other ?? '', nothing && other !== undefined)
  if (nothing && other && second.data && copiesOf(second.data).length) return <Life key={other} id={other} life={second.data} refetch={() => void second.refetch()} />
  return <Loaded query={query}>{(life) => <Life key={id} id={id} life={life} refetch={() => void query.refetch()} />}</Loaded>
}

function Life({ id, life, refetch }: { id: string; life: MessageLife; refetch: () => void }) {
  if (copiesOf(life).length === 0) return <Unknown id={id} life={life} refetch={refetch} />
  return <Known id={id} life={life} />
}

function Unknown({ id, life, refetch }: { id: string; life: MessageLife; refetch: () => void }) {
  const t = useT()
  const a = life.life.answer
  const failed = a === 'failed'
  const title = failed ? t.life.answers.failed : a === 'not-recorded' ? t.life.answers['not-recorded'] : t.life.answers.nothing
  const text = failed ? '' : a === 'not-recorded' ? t.life.answers.notRecordedText : t.life.answers.nothingText
  const acts = (
    <>
      <button type="button" className="act" onClick={refetch}>{t.retry}</button>
      <Go to="/messages" className="act" search={{ tab: 'key', key: id }}>{t.guess.key(id)}</Go>
    </>
  )
  return (
    <Answer tone={failed ? 'bad' : 'none'} title={title} acts={acts}>
      <p className="mono">{id}</p>
      <p>{text} {life.life.reason}</p>
    </Answer>
  )
}

const tabIds = ['timeline', 'steps', 'lineage', 'body', 'properties', 'records', 'json'] as const

function Known({ id, life }: { id: string; life: MessageLife }) {
  const t = useT()
  const [params, set] = useUrl()
  const model = useMemo(() => build(life), [life])
  const tab = tabIds.find((x) => x === params.tab) ?? 'timeline'
  const item = model.lanes.flatMap((l) => l.items).find((i) => i.id === params.event)
  const copies = copiesOf(life)
  const acts = (
    <>
      <LifeActs life={life} />
      <button type="button" className="act quiet" onClick={() => void copy(apiCall(path(`/messages/${encodeURIComponent(id)}`), location.origin), t.life.apiNote)}>{t.asApi}</button>
      <button type="button" className="act quiet" onClick={() => void copy(cli(['message', 'show', id], {}, location.origin), t.life.cliNote)}>{t.asCli}</button>
    </>
  )
  return (
    <div className="split" style={{ minHeight: '100%' }}>
      <div className="grow">
        <Header life={life} acts={acts} />
        <Verdicts life={life} />
        <Tabs tabs={tabIds.map((x) => ({ id: x, label: t.life.tabs[x] }))} value={tab} label={t.life.title} onChange={(x) => set({ tab: x === 'timeline' ? undefined : x })} />
        {tab === 'timeline' && <Timeline life={life} model={model} />}
        {tab === 'steps' && <StepsTab life={life} model={model} />}
        {tab === 'lineage' && <LineageTab life={life} />}
        {tab === 'body' && <BodyTab id={id} copies={copies} />}
        {tab === 'properties' && <PropertiesTab id={id} copies={copies} />}
        {tab === 'records' && <RecordsTab life={life} />}
        {tab === 'json' && <JsonTab life={life} />}
      </div>
      {item && <StepPanel item={item} zero={model.from} close={() => set({ event: undefined })} />}
    </div>
  )
}
