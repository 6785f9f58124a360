// Time range: presets stay relative; absolute ends take ISO, clock times and epochs.
import { Popover } from '@mantine/core'
import { useState } from 'react'
import { useT, type Dictionary } from '../i18n'
import { presets, resolve, type Range } from '../lib/range'
import { clock, date, parseTime, stamp, type Zone } from '../lib/time'
import { Icon } from '../parts/icons'
import { now } from './live'
import { useZone } from './prefs'
import { copy } from './say'
import { fixedLink, useRange } from './url'

export function lastWords(last: string, t: Dictionary): string {
  const m = /^(\d+)([smhd])$/.exec(last)!
  return `${m[1]} ${t.range.units[m[2]]}`
}

export function rangeWords(r: Range, t: Dictionary, zone: Zone): string {
  if ('last' in r) return t.range.last(lastWords(r.last, t))
  const sameDay = date(r.from, zone) === date(r.to, zone)
  const seconds = r.to - r.from < 3600e3 ? 's' : 'min'
  return `${stamp(r.from, zone, now(), seconds)} – ${sameDay ? clock(r.to, zone, seconds) : stamp(r.to, zone, now(), seconds)}`
}

export function RangePicker() {
  const t = useT()
  const zone = useZone()
  const { range, setRange } = useRange()
  const [open, setOpen] = useState(false)
  const choose = (r: Range) => {
    setRange(r)
    setOpen(false)
  }
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-end" shadow="md" trapFocus returnFocus>
      <Popover.Target>
        <button type="button" className="barbtn" data-test="range" onClick={() => setOpen(!open)} aria-label={`${t.bar.range}: ${rangeWords(range, t, zone)}`}>
          {rangeWords(range, t, zone)} <Icon name="down" size={12} />
        </button>
      </Popover.Target>
      <Popover.Dropdown p={12} w={410} aria-label={t.bar.range}>
        <h2>{t.range.relative}</h2>
        <div className="row wrap" style={{ margin: '6px 0 14px', gap: 4 }}>
          {presets.map((last) => (
            <button key={last} type="button" className="act" aria-pressed={'last' in range && range.last === last} onClick={() => choose({ last })}>
              {lastWords(last, t)}
            </button>
          ))}
        </div>
        <Absolute key={JSON.stringify(range)} range={range} choose={choose} zone={zone} />
        <div className="row" style={{ marginTop: 12, gap: 4 }}>
          <button type="button" className="act quiet" onClick={() => void copy(location.href, t.copied)}>{t.range.copyLink} <kbd>y</kbd></button>
          <button type="button" className="act quiet" onClick={() => void copy(fixedLink(range), t.copied)}>{t.range.fixLink} <kbd>Y</kbd></button>
        </div>
      </Popover.Dropdown>
    </Popover>
  )
}

function Absolute({ range, choose, zone }: { range: Range; choose: (r: Range) => void; zone: Zone }) {
  const t = useT()
  const r = resolve(range, now())
  const print = (ms: number) => `${date(ms, zone)} ${clock(ms, zone, 's')}`
  const [from, setFrom] = useState(print(r.from))
  const [to, setTo] = useState(print(r.to))
  const a = parseTime(from, zone, now())
  const b = parseTime(to, zone, now())
  const problem = a === undefined || b === undefined ? '' : a >= b ? t.range.order : ''
  const submit = (e: React.FormEvent) => {
    e.preventDefault()
    if (a !== undefined && b !== undefined && a < b) choose({ from: a, to: b })
  }
  return (
    <form onSubmit={submit}>
      <h2>{t.range.absolute}</h2>
      <End label={t.range.from} text={from} set={setFrom} bad={a === undefined} />
      <End label={t.range.to} text={to} set={setTo} bad={b === undefined} />
      <div className="row between" style={{ marginTop: 8 }}>
        <span className={problem ? 'bad' : 'dim'} style={{ fontSize: 12 }}>{problem || t.range.hint}</span>
        <button type="submit" className="act" disabled={a === undefined || b === undefined || a >= b}>{t.range.apply}</button>
      </div>
    </form>
  )
}

function End({ label, text, set, bad }: { label: string; text: string; set: (s: string) => void; bad: boolean }) {
  const t = useT()
  return (
    <label className="row" style={{ marginTop: 6 }}>
      <span className="dim" style={{ width: 40, fontSize: 12 }}>{label}</span>
      <input className="input grow mono" value={text} onChange={(e) => set(e.target.value)} aria-invalid={bad} />
      {bad && <span className="bad" style={{ fontSize: 12 }}>{t.range.bad}</span>}
    </label>
  )
}
