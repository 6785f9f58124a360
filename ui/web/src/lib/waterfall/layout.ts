// Lanes and items to boxes. Pure, so that it can be tested and timed.
import type { Item, Lane, Model } from './model'
import { scale, type Interval, type Mode, type Scale } from './scale'

export const rowHeight = 24
export const lanePad = 5
export const top = 26 // the time axis

export type Label = { text: string; x: number; inside: boolean }
export type Box = { item: Item; x: number; y: number; w: number; label?: Label }
export type LaneBox = { lane: Lane; y: number; h: number; boxes: Box[]; note?: { text: string; x: number } }
export type Layout = { scale: Scale; lanes: LaneBox[]; width: number; height: number; holes: { x: number; w: number; index: number }[] }

export type Texts = { item: (i: Item) => string; lane: (l: Lane) => string }

const letter = 6
const wideLetter = 12
export const textWidth = (s: string) => Array.from(s).reduce((n, c) => n + (c.charCodeAt(0) > 0x2e80 ? wideLetter : letter), 0)

/** What is work takes its length; of a wait, of a leader's time and of what goes on only the ends count. */
export function busy(model: Model): Interval[] {
  return model.lanes.flatMap((l) =>
    l.items.flatMap((i) => (i.shape === 'hatch' || i.what === 'led' || i.open ? [{ from: i.from, to: i.from }, { from: i.to, to: i.to }] : [{ from: i.from, to: i.to }])),
  )
}

export function layout(model: Model, mode: Mode, width: number, texts: Texts): Layout {
  const s = scale(mode, model.from, model.to, width, busy(model))
  let y = top
  const lanes = model.lanes.map((lane) => {
    const h = lane.rows * rowHeight + 2 * lanePad
    const box = laneBox(lane, s, y, h, width, texts)
    y += h
    return box
  })
  const holes = model.holes.map((h, index) => ({ x: s.x(h.from), w: Math.max(4, s.x(h.to) - s.x(h.from)), index }))
  return { scale: s, lanes, width, height: y + 4, holes }
}

function laneBox(lane: Lane, s: Scale, y: number, h: number, width: number, texts: Texts): LaneBox {
  const boxes = lane.items.map((item): Box => {
    const x = s.x(item.from)
    const w = item.shape === 'diamond' ? 0 : Math.max(2, s.x(item.to) - x)
    return { item, x, y: y + lanePad + item.row * rowHeight, w }
  })
  for (let row = 0; row < lane.rows; row++) labels(boxes.filter((b) => b.item.row === row), width, texts)
  const right = Math.max(0, ...boxes.map((b) => Math.max(b.x + b.w, b.label ? b.label.x + textWidth(b.label.text) : 0)))
  const text = texts.lane(lane)
  const fits = right + 16 + textWidth(text) < width
  const before = Math.min(width, ...boxes.map((b) => b.x)) - 12 - textWidth(text)
  const note = !text ? undefined : fits ? { text, x: right + 16 } : before > 0 ? { text, x: before } : undefined
  return { lane, y, h, boxes, note }
}

/** A label goes into its bar, else to the right of it when nothing is there. Waits are told only inside, but that nobody led always. */
function labels(row: Box[], width: number, texts: Texts) {
  const marks = row.toSorted((a, b) => a.x - b.x)
  const inner = marks.filter((b) => b.item.shape === 'bar' || b.item.shape === 'diamond')
  let free = 0
  for (const b of marks) {
    const text = texts.item(b.item)
    const w = textWidth(text)
    const covered = b.item.shape === 'outline' && inner.some((o) => o.item.shape === 'bar' && o.x + o.w > b.x && o.x < b.x + b.w)
    if (!text || covered) continue
    const margin = b.item.shape === 'hatch' ? 22 : 10
    if (b.item.shape !== 'thin' && w + margin <= b.w && b.x + 5 >= free && !inner.some((o) => o !== b && o.x > b.x && o.x < b.x + w + margin + 4)) {
      const x = b.x + (b.item.shape === 'hatch' ? 12 : 5)
      b.label = { text, x, inside: true }
      free = x + w
      continue
    }
    if ((b.item.shape === 'hatch' && b.item.what !== 'nobody') || b.item.what === 'held' || b.item.what === 'unanswered') continue
    const x = Math.max(b.x + b.w, b.x + (b.item.shape === 'diamond' ? 8 : 0)) + 5
    const next = marks.find((o) => o.x > b.x + b.w + 1 && o.item.shape !== 'hatch')?.x ?? width
    const under = marks.some((o) => o !== b && o.item.shape === 'hatch' && o.x < x + w && o.x + o.w > x)
    if (x + w + 4 <= next && x >= free && x + w <= width && !under) {
      b.label = { text, x, inside: false }
      free = x + w
    } else if (b.item.shape === 'thin' || b.item.what === 'nobody') {
      const first = Math.min(...marks.map((o) => o.x))
      if (first - w - 8 > 0) b.label = { text, x: first - w - 8, inside: false }
    }
  }
}
