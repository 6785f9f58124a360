// uPlot in React: one cross-hair for all charts of a page, drag narrows the page's range.
import { useComputedColorScheme } from '@mantine/core'
import { useEffect, useMemo, useRef, useState } from 'react'
import uPlot from 'uplot'
import { useZone } from '../app/prefs'
import { useT } from '../i18n'
import { clock, date, type Zone } from '../lib/time'

export type Line = { id: string; label: string; color: string; fill?: boolean; dash?: number[] }
export type LineChartProps = {
  title: string
  note?: string
  x: number[]
  lines: Line[]
  values: Record<string, (number | null)[]>
  from: number
  to: number
  format: (v: number) => string
  height?: number
  onRange?: (from: number, to: number) => void
  missing?: string
  log?: boolean // durations (µs) over decades
}

const css = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

export function LineChart(p: LineChartProps) {
  const zone = useZone()
  const [at, setAt] = useState<number | null>(null)
  const i = at ?? p.x.length - 1
  return (
    <section>
      <div className="sect-head chart">
        <h2 title={p.note}>{p.title}</h2>
        <span className="dim mono grow" style={{ visibility: at === null ? 'hidden' : undefined }}>{p.x[i] ? clock(p.x[i], zone, 's') : ''}</span>
        {p.lines.map((l) => (
          <span key={l.id} className="mark">
            <i className="swatch" style={{ background: `var(${l.color})` }} />
            <span className="dim">{l.label}</span>
            <b style={{ fontWeight: 600 }}>{p.values[l.id]?.[i] == null ? '–' : p.format(p.values[l.id][i]!)}</b>
          </span>
        ))}
      </div>
      {p.missing ? <p className="dim" style={{ height: p.height ?? 150, margin: 0 }}>{p.missing}</p> : <Plot {...p} zone={zone} cursor={setAt} />}
    </section>
  )
}

function axisTime(zone: Zone) {
  return (_: uPlot, splits: number[], _i: number, _s: number, step: number) => {
    const words = splits.map((v) => (step >= 86400e3 ? date(v, zone).slice(5) : clock(v, zone, step < 60e3 ? 's' : 'min')))
    return words
  }
}

function decades(lo: number, hi: number): [number, number] {
  if (!Number.isFinite(lo) || !Number.isFinite(hi) || lo === null || hi === null) return [3, 6]
  return [Math.floor(lo), Math.max(Math.floor(lo) + 1, Math.ceil(hi + 0.01))]
}

const round = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 6e7, 6e8, 3.6e9, 3.6e10, 8.64e10, 8.64e11].map(Math.log10)

/** Round durations, at most six of them. */
function whole(lo: number, hi: number): number[] {
  const inside = round.filter((v) => v >= lo - 1e-9 && v <= hi + 1e-9)
  const step = Math.max(1, Math.ceil(inside.length / 6))
  return inside.filter((_, i) => i % step === 0)
}

const logs = (values: (number | null)[]) => values.map((v) => (v === null || v <= 0 ? null : Math.log10(v)))

/** Points that no line reaches. */
const alone: uPlot.Series.Points.Filter = (u, series) => {
  const v = u.data[series]
  return Array.from(v.keys()).filter((i) => v[i] != null && v[i - 1] == null && v[i + 1] == null)
}

function options(p: LineChartProps, zone: Zone, width: number, cursor: (i: number | null) => void, select: (u: uPlot) => void): uPlot.Options {
  const grid = { stroke: css('--line'), width: 1 }
  const axis = { stroke: css('--dim'), grid, ticks: { show: false }, font: `11px ${css('--sans')}` }
  return {
    width,
    height: p.height ?? 150,
    ms: 1,
    legend: { show: false },
    padding: [6, 20, 0, 0],
    tzDate: (ts) => (zone === 'utc' ? uPlot.tzDate(new Date(ts), 'Etc/UTC') : new Date(ts)),
    cursor: { sync: { key: 'page', scales: ['x', null] }, drag: { x: true, y: false, setScale: false }, points: { size: 6 }, y: false },
    scales: { x: { time: true, range: () => [p.from, p.to] }, y: p.log ? { range: (_u, lo, hi) => decades(lo, hi) } : { range: (_u, _lo, hi) => [0, hi > 0 ? hi * 1.12 : 1] } },
    axes: [
      { ...axis, values: axisTime(zone), space: 70, size: 24 },
      { ...axis, ...(p.log ? { splits: (_u: uPlot, _i: number, lo: number, hi: number) => whole(lo, hi) } : {}), values: (_u, splits) => splits.map((v) => (p.log ? p.format(10 ** v) : v === 0 ? '0' : p.format(v))), size: 66, space: p.log ? 14 : 34 },
    ],
    series: [
      {},
      ...p.lines.map((l) => ({ label: l.label, stroke: css(l.color), width: 1.5, dash: l.dash, fill: l.fill ? css(l.color) + '1c' : undefined, points: { show: true, size: 5, fill: css(l.color), filter: alone }, spanGaps: false })),
    ],
    hooks: { setCursor: [(u) => cursor(u.cursor.idx ?? null)], setSelect: [select] },
  }
}

function Plot(p: LineChartProps & { zone: Zone; cursor: (i: number | null) => void }) {
  const t = useT()
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const scheme = useComputedColorScheme('light')
  const [width, setWidth] = useState(0)
  const latest = useRef(p)
  useEffect(() => {
    latest.current = p
  })
  const data = useMemo(() => [p.x, ...p.lines.map((l) => (p.log ? logs(p.values[l.id] ?? []) : (p.values[l.id] ?? [])))] as uPlot.AlignedData, [p.x, p.lines, p.values, p.log])
  const shape = p.lines.map((l) => l.id + l.label).join()

  useEffect(() => {
    const watch = new ResizeObserver(([e]) => setWidth(Math.floor(e.contentRect.width)))
    watch.observe(box.current!)
    return () => watch.disconnect()
  }, [])

  useEffect(() => {
    if (!width || !box.current) return
    const select = (u: uPlot) => {
      if (u.select.width < 4) return
      latest.current.onRange?.(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x'))
      u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false)
    }
    const o = options(latest.current, p.zone, width, (i) => latest.current.cursor(i), select)
    o.scales!.x!.range = () => [latest.current.from, latest.current.to]
    const u = new uPlot(o, data, box.current)
    plot.current = u
    return () => u.destroy()
    // the data is set below; a new chart is made only when its form changes
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [width, p.zone, scheme, shape])

  useEffect(() => {
    plot.current?.setData(data)
  }, [data, p.from, p.to])

  return <div ref={box} role="img" aria-label={`${p.title}: ${p.lines.map((l) => `${l.label} ${last(p.values[l.id], p.format)}`).join(', ') || t.none}`} style={{ height: p.height ?? 150 }} />
}

function last(values: (number | null)[] | undefined, format: (v: number) => string): string {
  const v = values?.findLast((x) => x !== null)
  return v == null ? '–' : format(v)
}
