// The picture of a message's life: SVG over lib/waterfall. The table of steps holds the same facts for a screen reader.
import { useEffect, useMemo, useRef, useState } from 'react'
import { useT, type Dictionary } from '../i18n'
import { duration, middle } from '../lib/format'
import { layout, rowHeight, textWidth, top, type Box, type Layout, type LaneBox } from '../lib/waterfall/layout'
import type { Item, Model } from '../lib/waterfall/model'
import type { Mode } from '../lib/waterfall/scale'
import { label } from '../pages/message/words'
import { Tip } from './waterfall-tip'

const names = 148
const tail = 36

type Props = { model: Model; mode: Mode; note: (lane: string) => string; picked?: string; pick: (id: string) => void }

export function Waterfall({ model, mode, note, picked, pick }: Props) {
  const t = useT()
  const box = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(0)
  const [over, setOver] = useState<{ x: number; y: number; box?: Box } | undefined>()
  useEffect(() => {
    const watch = new ResizeObserver(([e]) => setWidth(Math.floor(e.contentRect.width)))
    watch.observe(box.current!)
    return () => watch.disconnect()
  }, [])
  const inner = Math.max(200, width - names - tail)
  const l = useMemo(() => layout(model, mode, inner, { item: (i) => (i.what === 'waiting' ? note(i.lane) : label(i, t)), lane: (lane) => (lane.items.length ? '' : note(lane.id)) }), [model, mode, inner, t, note])
  const move = (e: React.PointerEvent) => {
    const r = box.current!.getBoundingClientRect()
    const id = (e.target as Element).closest('[data-item]')?.getAttribute('data-item')
    setOver({ x: e.clientX - r.left, y: e.clientY - r.top, box: id ? l.lanes.flatMap((b) => b.boxes).find((b) => b.item.id === id) : undefined })
  }
  const x = over && over.x > names && over.x < names + inner ? over.x - names : undefined
  return (
    <div ref={box} className="wf" data-test="waterfall" onPointerMove={move} onPointerLeave={() => setOver(undefined)} style={{ minHeight: l.height }}>
      {width > 0 && (
        <svg width={width} height={l.height} role="img" aria-label={t.life.tabs.timeline}>
          <Hatches />
          {l.lanes.map((b) => (
            <LaneName key={b.lane.id} box={b} width={width} t={t} />
          ))}
          <g transform={`translate(${names},0)`}>
            <Axis l={l} t={t} />
            {model.lanes.some((b) => b.items.some((i) => i.open)) && <Now x={l.scale.x(model.to)} height={l.height} words={t.life.item.now} />}
            {l.holes.map((h) => (
              <rect key={h.index} x={h.x} y={top} width={h.w} height={l.height - top} fill="url(#hole)" />
            ))}
            {l.lanes.flatMap((b) => b.boxes).map((b) => (
              <Mark key={b.item.id} box={b} on={b.item.id === picked} pick={pick} />
            ))}
            {l.lanes.map((b) => b.note && <text key={b.lane.id} className="dim" x={b.note.x} y={b.y + b.h / 2 + 4}>{b.note.text}</text>)}
            {x !== undefined && <line className="cross" x1={x} x2={x} y1={top - 4} y2={l.height} />}
          </g>
        </svg>
      )}
      {over && x !== undefined && <Tip x={over.x} y={over.y} width={width} at={l.scale.invert(x)} zero={model.from} item={over.box?.item} />}
    </div>
  )
}

const tones = ['send', 'own', 'work', 'ok', 'warn', 'bad', 'none'] as const

function Hatches() {
  return (
    <defs>
      {tones.map((tone) => (
        <pattern key={tone} id={`hatch-${tone}`} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect width="6" height="6" fill={`var(--${tone})`} opacity="0.1" />
          <line x1="0" y1="0" x2="0" y2="6" stroke={`var(--${tone})`} strokeWidth="2.4" opacity="0.38" />
        </pattern>
      ))}
      <pattern id="hole" width="8" height="8" patternUnits="userSpaceOnUse">
        <circle cx="2" cy="2" r="1" fill="var(--none)" opacity="0.7" />
      </pattern>
    </defs>
  )
}

function LaneName({ box, width, t }: { box: LaneBox; width: number; t: Dictionary }) {
  const { lane } = box
  const name = lane.kind === 'group' ? lane.name : t.life.lanes[lane.kind]
  const sign = lane.verdict && { dead: '✕', retrying: '↻', scheduled: '◷', cancelled: '⊘', undecided: '½', 'rolled-back': '⊘', discarded: '✕', consumed: '✓', offline: '✕', expired: '✕', waiting: '◔', delivered: '↻', filtered: '○', skipped: '↷' }[lane.verdict.state as string]
  const tone = lane.verdict && ({ dead: 'bad', retrying: 'warn', consumed: 'ok', offline: 'bad', expired: 'bad', waiting: 'warn', delivered: 'warn', skipped: 'warn' }[lane.verdict.state as string] ?? 'none')
  const shown = textWidth(name) > names - 44 ? middle(name, 11, 5) : name
  return (
    <g>
      <line className="lane-line" x1={0} x2={width} y1={box.y} y2={box.y} />
      <text x={16} y={box.y + box.h / 2 + 4} fontWeight={lane.kind === 'group' ? 600 : 400}>
        <title>{name}</title>
        {sign && <tspan style={{ fill: `var(--${tone})` }}>{sign} </tspan>}
        {shown}
      </text>
    </g>
  )
}

function Axis({ l, t }: { l: Layout; t: Dictionary }) {
  return (
    <g>
      {l.scale.segments.filter((s) => s.folded).map((s) => (
        <g key={s.from}>
          <rect className="fold" x={s.x0} y={top} width={s.x1 - s.x0} height={l.height - top} />
          <line className="foldedge" x1={s.x0} x2={s.x0} y1={4} y2={l.height} />
          <line className="foldedge" x1={s.x1} x2={s.x1} y1={4} y2={l.height} />
          <text className="dim" x={(s.x0 + s.x1) / 2} y={17} textAnchor="middle" fontSize={11}>
            <title>{t.life.scale.fold}</title>
            {fit(s.to - s.from, s.x1 - s.x0)}
          </text>
        </g>
      ))}
      {l.scale.ticks.filter((k) => clear(k.x, l)).map((k) => (
        <g key={k.x}>
          <line className="axis" x1={k.x} x2={k.x} y1={top - 5} y2={l.height} />
          <text className="dim" x={k.x + 3} y={17} fontSize={11}>{k.at === 0 ? '0' : k.since ? '+' + duration(k.since) : duration(k.at)}</text>
        </g>
      ))}
    </g>
  )
}

/** A tick's words must not run into a fold's. */
function clear(x: number, l: Layout): boolean {
  if (x > l.width - 24) return false
  return !l.scale.segments.some((s) => s.folded && x < s.x0 && x + 46 > s.x0 + 4 && x > 0)
}

function fit(length: number, room: number): string {
  const text = `⋯ ${duration(length)} ⋯`
  if (textWidth(text) < room) return text
  const short = duration(length)
  return textWidth(short) * 0.92 < room ? short : '⋯'
}

function Now({ x, height, words }: { x: number; height: number; words: string }) {
  return (
    <g>
      <line x1={x} x2={x} y1={6} y2={height} stroke="var(--dim)" />
      <text className="dim" x={x + 3} y={17} fontSize={11}>{words}</text>
    </g>
  )
}

const barHeight = rowHeight - 8

function Mark({ box, on, pick }: { box: Box; on: boolean; pick: (id: string) => void }) {
  const { item, x, y, w } = box
  const mid = y + rowHeight / 2
  return (
    <g className={`item t-${item.tone}${on ? ' on' : ''}`} data-item={item.id} onClick={() => pick(item.id)}>
      <Shape item={item} x={x} y={y + 4} w={w} />
      <rect className="ring" x={x - (w ? 2 : 8)} y={y + 1} width={w ? w + 4 : 16} height={rowHeight - 2} rx={4} />
      {box.label && (
        <g pointerEvents="none">
          {item.shape === 'hatch' && <rect x={box.label.x - 3} y={mid - 8} width={textWidth(box.label.text) + 6} height={16} rx={3} fill="var(--bg)" opacity={0.86} />}
          <text className={box.label.inside && item.shape === 'bar' ? 'inside' : box.label.inside ? '' : 'dim'} x={box.label.x} y={mid + 4} fontSize={11.5}>
            {box.label.text}
          </text>
        </g>
      )}
    </g>
  )
}

function Shape({ item, x, y, w }: { item: Item; x: number; y: number; w: number }) {
  const color = 'var(--c)'
  switch (item.shape) {
    case 'bar':
      return <rect className="body" x={x} y={y + 2} width={w} height={barHeight - 4} rx={2} fill={color} />
    case 'thin':
      return <rect className="body" x={x} y={y + 4} width={Math.max(1, w - 0.8)} height={barHeight - 8} rx={1} fill={color} />
    case 'hatch':
      return <rect className="body" x={x} y={y + 2} width={w} height={barHeight - 4} fill={`url(#hatch-${item.tone})`} />
    case 'outline':
      return <rect className="body" x={x + 0.5} y={y + 0.5} width={Math.max(1, w - 1)} height={barHeight - 1} rx={3} fill={color} fillOpacity={0.07} stroke={color} strokeDasharray="4 3" />
    case 'diamond': {
      const c = y + barHeight / 2
      const hollow = item.what === 'delivered' || item.what === 'filtered' || item.what === 'passed'
      return (
        <g>
          <rect x={x - 8} y={y} width={16} height={barHeight} fill="transparent" />
          <path className="body" d={`M${x} ${c - 6}L${x + 6} ${c}L${x} ${c + 6}L${x - 6} ${c}Z`} fill={hollow ? 'var(--bg)' : color} stroke={color} strokeWidth={1.5} strokeDasharray={item.source === 'inferred' ? '2 2' : undefined} />
        </g>
      )
    }
  }
}
