// /dlq/$group: the dead letters of a group as the broker has them, each with its story beside it; resending and export.
import { Menu } from '@mantine/core'
import { useParams } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import { path } from '../../api/client'
import { lettersPath, useLetters, type LetterFilter } from '../../api/acts'
import type { DeadLetter } from '../../api/types'
import { now } from '../../app/live'
import { copy } from '../../app/say'
import { useUrl } from '../../app/url'
import { Histogram } from '../../charts/histogram'
import { useT } from '../../i18n'
import { bars } from '../../lib/buckets'
import { apiCall } from '../../lib/cli'
import { bytes, count, middle } from '../../lib/format'
import { fromUrl, resolve } from '../../lib/range'
import { Answer, Loaded } from '../../parts/answer'
import { Act } from '../../parts/dialog'
import { Choice } from '../../parts/filters'
import { Go, GroupName, Swatch, Time, TopicName } from '../../parts/small'
import { Table, type Column } from '../../parts/table'
import { Value } from '../messages/filters'
import { useOpenMessage } from '../messages/page'
import { LetterPanel } from './panel'
import { ResendDialog, type Wanted } from './resend'

export const letterKey = (d: { broker: string; offset: number }) => `${d.broker}/${d.offset}`
/** The id under which a letter's story is found: its own, or that of its first copy. */
export const storyOf = (d: { uniqKey: string; originMessage: string }) => d.uniqKey || d.originMessage

function useColumns(chosen: Set<string>, flip: (d: DeadLetter) => void): Column<DeadLetter>[] {
  const t = useT()
  return useMemo(() => {
    const c = t.messages.columns
    const w = t.dead
    return [
      { id: 'chosen', label: '✓', width: 40, fixed: true, value: (d) => (chosen.has(letterKey(d)) ? 1 : 0), render: (d) => <input type="checkbox" checked={chosen.has(letterKey(d))} onChange={() => flip(d)} aria-label={w.choose(storyOf(d))} tabIndex={-1} /> },
      { id: 'died', label: w.died, width: 176, fixed: true, value: (d) => d.storedAt, render: (d) => <Time ms={d.storedAt} precision="ms" /> },
      { id: 'topic', label: w.topic, width: 120, grow: 1, fixed: true, value: (d) => d.topic, render: (d) => <span className="cut"><Swatch name={d.topic} /> <TopicName name={d.topic} /></span> },
      { id: 'tag', label: c.tag, width: 90, grow: 0.5, fixed: true, value: (d) => d.tags ?? '', render: (d) => (d.tags ? <span className="tag">{d.tags}</span> : '') },
      { id: 'keys', label: c.keys, width: 130, grow: 1.2, fixed: true, value: (d) => d.keys ?? '', render: (d) => <span className="mono">{(d.keys ?? '').split(' ').slice(0, 5).join(' ')}</span> },
      { id: 'attempts', label: w.attempts, width: 84, right: true, fixed: true, value: (d) => d.attempts },
      { id: 'resent', label: w.resentAt, width: 176, fixed: true, value: (d) => d.resentAt ?? 0, render: (d) => (d.resentAt ? <span className="ok">✓ <Time ms={d.resentAt} /></span> : <span className="dim">{w.notResent}</span>) },
      { id: 'place', label: w.place, width: 130, right: true, fixed: true, value: letterKey, render: (d) => <>{d.broker} : {count(d.offset)}</> },
      { id: 'size', label: c.size, width: 80, right: true, fixed: true, hidden: true, value: (d) => d.bytes, render: (d) => bytes(d.bytes) },
      { id: 'id', label: c.id, width: 132, fixed: true, value: storyOf, render: (d) => <span className="mono" title={storyOf(d)}>{middle(storyOf(d))}</span> },
    ]
  }, [t, chosen, flip])
}

/** What the address says of the letters that are meant. Without a range of its own, all that are kept. */
function useFilter(): LetterFilter {
  const [params] = useUrl()
  const { last, from, to, topic, tag, key, state } = params
  return useMemo(() => {
    const known = state === 'open' || state === 'resent' ? state : undefined
    const filter: LetterFilter = { topic, tag, key, state: known }
    if (!last && !from) return filter
    const r = resolve(fromUrl({ last, from, to }), now())
    const whole = last ? { from: Math.floor(r.from / 1000) * 1e6 } : { from: Math.round(r.from) * 1000, to: Math.round(r.to) * 1000 }
    return { ...filter, ...whole }
  }, [last, from, to, topic, tag, key, state])
}

export function DeadGroupPage() {
  const t = useT()
  const { group } = useParams({ strict: false }) as { group: string }
  const [params, set] = useUrl()
  const filter = useFilter()
  const query = useLetters(group, filter)
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.letters) ?? [], [query.data])
  const [chosen, setChosen] = useState<Set<string>>(new Set())
  const [wanted, setWanted] = useState<Wanted | undefined>()
  const total = query.data?.pages[0].total ?? 0
  const ranged = filter.from !== undefined
  const narrowed = ranged || !!(filter.topic || filter.tag || filter.key || filter.state)
  return (
    <>
      <div className="head">
        <h1>{t.dead.ofGroup(group)}</h1>
        {query.data && <span className="say" data-test="state">{t.dead.kept(count(total))}</span>}
        <span className="acts">
          <Act test="resend-chosen" disabled={chosen.size === 0} onClick={() => setWanted({ letters: rows.filter((d) => chosen.has(letterKey(d))) })}>{chosen.size ? t.dead.resendChosen(count(chosen.size)) : t.dead.resendChosenNone}</Act>
          <Act test="resend-all" disabled={total === 0} onClick={() => setWanted({ filter })}>{narrowed ? t.dead.resendMatching : t.dead.resendAll}</Act>
          <ExportMenu group={group} filter={filter} />
          <GroupName name={group} /> <Go to="/dlq" className="act quiet">{t.dead.title}</Go>
        </span>
      </div>
      <div className="strip">
        <Value name="key" first={params.key ?? ''} width={220} autoFocus={false} placeholder={t.messages.keyPlaceholder} done={(v) => v !== (params.key ?? '') && set({ key: v || undefined, sel: undefined }, false)} />
        <Value name="topic" first={params.topic ?? ''} width={180} autoFocus={false} placeholder={t.dead.topic} done={(v) => v !== (params.topic ?? '') && set({ topic: v || undefined, sel: undefined }, false)} />
        <Value name="tag" first={params.tag ?? ''} width={120} autoFocus={false} done={(v) => v !== (params.tag ?? '') && set({ tag: v || undefined, sel: undefined }, false)} />
        <Choice name="state" standard="all" label={t.dead.resentAt} options={[{ id: 'all', label: t.dead.states.all }, { id: 'open', label: t.dead.states.open }, { id: 'resent', label: t.dead.states.resent }]} />
        {ranged && (
          <span className="chip">
            <span className="dim">{t.dead.inRange}</span>
            <button type="button" aria-label={t.removeFilter(t.dead.inRange)} onClick={() => set({ last: undefined, from: undefined, to: undefined }, false)}>×</button>
          </span>
        )}
        <span className="grow" />
        <span className="dim" style={{ fontSize: 13 }}>{t.dead.looking}</span>
      </div>
      <Loaded query={query}>
        {() => <Letters key={group} group={group} rows={rows} narrowed={narrowed} more={query.hasNextPage} end={() => query.hasNextPage && !query.isFetchingNextPage && void query.fetchNextPage()} updatedAt={query.dataUpdatedAt} chosen={chosen} setChosen={setChosen} resend={(letters) => setWanted({ letters })} />}
      </Loaded>
      {wanted && <ResendDialog group={group} wanted={wanted} close={() => (setWanted(undefined), setChosen(new Set()))} />}
    </>
  )
}

type LettersProps = { group: string; rows: DeadLetter[]; narrowed: boolean; more: boolean; end: () => void; updatedAt: number; chosen: Set<string>; setChosen: (s: Set<string>) => void; resend: (letters: DeadLetter[]) => void }

function Letters({ group, rows, narrowed, more, end, updatedAt, chosen, setChosen, resend }: LettersProps) {
  const t = useT()
  const [params, set] = useUrl()
  const openMessage = useOpenMessage()
  const flip = useMemo(
    () => (d: DeadLetter) => {
      const next = new Set(chosen)
      if (!next.delete(letterKey(d))) next.add(letterKey(d))
      setChosen(next)
    },
    [chosen, setChosen],
  )
  const columns = useColumns(chosen, flip)
  const picked = rows.find((d) => letterKey(d) === params.sel)
  const span = { from: (rows.at(-1)?.storedAt ?? 0) * 1000, to: (rows[0]?.storedAt ?? 0) * 1000 + 1 }
  const all = rows.length > 0 && rows.every((d) => chosen.has(letterKey(d)))
  return (
    <>
      {rows.length > 1 && <Histogram bars={bars(span, rows.map((d) => ({ atMicros: d.storedAt * 1000, count: 1 })), [], 60)} dim={false} label={t.dead.histogram} onRange={(from, to) => set({ last: undefined, from: String(Math.floor(from)), to: String(Math.ceil(to)) }, false)} />}
      <div className="split">
        <div className="grow fill">
          <Table
            rows={rows} columns={columns} rowKey={letterKey} name={`dead-letters-${group}`} label={t.dead.ofGroup(group)} end={end} open={(d, tab) => openMessage({ id: storyOf(d) }, tab)} pick={(d) => set({ sel: letterKey(d) })} mark={flip}
            picked={picked && letterKey(picked)} updatedAt={updatedAt} foot={rows.length > 0 && <button type="button" className="act quiet" onClick={() => setChosen(all ? new Set() : new Set(rows.map(letterKey)))}>{all ? t.dead.chooseNone : t.dead.chooseShown(count(rows.length), more)}</button>}
            empty={<Answer tone={narrowed ? undefined : 'ok'} title={narrowed ? t.dead.noneMatch : t.dead.empty}><p>{narrowed ? t.dead.noneMatchText : t.dead.emptyText}</p></Answer>}
          />
        </div>
        {picked && <LetterPanel letter={picked} close={() => set({ sel: undefined })} acts={<OneAct letter={picked} resend={resend} />} />}
      </div>
    </>
  )
}

function OneAct({ letter, resend }: { letter: DeadLetter; resend: (letters: DeadLetter[]) => void }) {
  const t = useT()
  return <Act test="resend-one" onClick={() => resend([letter])}>{letter.resentAt ? t.dead.resendAgain : t.dead.resend}</Act>
}

function ExportMenu({ group, filter }: { group: string; filter: LetterFilter }) {
  const t = useT()
  const address = (format: string, bodies?: string) => path(lettersPath(group, '/export'), { ...filter, format, bodies })
  const items: [string, string, string?][] = [[t.dead.exports.csv, 'csv'], [t.dead.exports.csvBodies, 'csv', '1'], [t.dead.exports.jsonl, 'jsonl'], [t.dead.exports.jsonlBodies, 'jsonl', '1']]
  const ending: Record<string, string> = { csv: 'csv', jsonl: 'jsonl' }
  return (
    <Menu position="bottom-end" shadow="md">
      <Menu.Target>
        <button type="button" className="act" data-test="export">{t.exportAs}</button>
      </Menu.Target>
      <Menu.Dropdown>
        {items.map(([label, format, bodies]) => (
          <Menu.Item key={label} component="a" href={address(format, bodies)} download={`dead-letters-${group}.${ending[format]}`}>{label}</Menu.Item>
        ))}
        <Menu.Item onClick={() => void copy(apiCall(address('jsonl', '1'), location.origin), t.life.apiNote)}>{t.asApi}</Menu.Item>
        <div className="dim" style={{ padding: '4px 10px', fontSize: 12, maxWidth: 280 }}>{t.dead.exports.limit}</div>
      </Menu.Dropdown>
    </Menu>
  )
}
