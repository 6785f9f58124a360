// The list of every page: sorted by TanStack Table, drawn by TanStack Virtual, moved through with j and k.
import { getCoreRowModel, getFilteredRowModel, getSortedRowModel, useReactTable, type ColumnDef, type SortingState } from '@tanstack/react-table'
import { useVirtualizer } from '@tanstack/react-virtual'
import { memo, useCallback, useEffect, useId, useMemo, useRef, useState, type CSSProperties, type ReactNode } from 'react'
import { useKeys } from '../app/keys'
import { useUrl } from '../app/url'
import { useT } from '../i18n'
import { Foot } from './table-foot'

export type Column<R> = {
  id: string
  label: string
  width: number
  grow?: number
  right?: boolean
  value: (r: R) => string | number // sorted, filtered and exported by
  render?: (r: R) => ReactNode
  hidden?: boolean // until chosen
  fixed?: boolean // cannot be sorted: the server's order
}

export type TableProps<R> = {
  rows: R[]
  columns: Column<R>[]
  rowKey: (r: R) => string
  label: string
  name: string // of an exported file
  open?: (r: R, newTab: boolean) => void
  pick?: (r: R) => void // click and j/k, when a panel shows the picked row
  picked?: string
  mark?: (r: R) => void // x
  filter?: string
  sort?: string // by default: "lag.desc"
  end?: () => void // the last rows are in sight
  foot?: ReactNode
  updatedAt?: number
  empty?: ReactNode
}

const height = 32
const headHeight = 30

export function parseSort(text: string): SortingState {
  const [id, direction] = text.split('.')
  return id ? [{ id, desc: direction === 'desc' }] : []
}

function useTable<R>(p: TableProps<R>) {
  const [params, set] = useUrl()
  const sortText = params.sort ?? p.sort ?? ''
  const sorting = useMemo(() => parseSort(sortText), [sortText]) // a new array would be a new order to TanStack Table
  const { cols } = params
  const visible = useMemo(() => p.columns.filter((c) => (cols ? cols.split(',').includes(c.id) : !c.hidden)), [p.columns, cols])
  const defs = useMemo<ColumnDef<R, string | number>[]>(
    () => p.columns.map((c) => ({ id: c.id, accessorFn: c.value, enableSorting: !c.fixed, sortingFn: 'basic', sortDescFirst: !!c.right, filterFn: 'includesString' })),
    [p.columns],
  )
  const table = useReactTable<R>({
    data: p.rows,
    columns: defs,
    state: { sorting, globalFilter: p.filter ?? '' },
    globalFilterFn: 'includesString',
    getColumnCanGlobalFilter: () => true,
    getRowId: p.rowKey,
    autoResetAll: false,
    onSortingChange: (update) => {
      const next = typeof update === 'function' ? update(sorting) : update
      set({ sort: next[0] ? `${next[0].id}.${next[0].desc ? 'desc' : 'asc'}` : undefined })
    },
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
    getFilteredRowModel: getFilteredRowModel(),
  })
  return { table, visible, sorting, set }
}

/** Rows are of one height, so where a row is needs no measuring. */
function show(box: HTMLDivElement | null, i: number) {
  if (!box) return
  const top = i * height
  const room = box.clientHeight - headHeight
  if (top < box.scrollTop) box.scrollTop = top
  else if (top + height > box.scrollTop + room) box.scrollTop = top + height - room
}

export function Table<R>(p: TableProps<R>) {
  const { table, visible, sorting, set } = useTable(p)
  const rows = table.getRowModel().rows
  const box = useRef<HTMLDivElement>(null)
  const id = useId()
  const [at, setAt] = useState(-1)
  const pickedAt = p.picked ? rows.findIndex((r) => r.id === p.picked) : -1
  const active = pickedAt >= 0 ? pickedAt : Math.min(at, rows.length - 1)
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => height, overscan: 12, useFlushSync: false, initialRect: { width: 1000, height: 600 } })
  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? -1
  const { end } = p
  useEffect(() => {
    if (last >= 0 && last >= rows.length - 20) end?.()
  }, [last, rows.length, end])

  const go = (i: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, i))
    if (!rows[next]) return
    setAt(next)
    show(box.current, next)
    if (p.picked && p.pick) p.pick(rows[next].original)
  }
  const open = (newTab: boolean) => rows[active] && p.open?.(rows[active].original, newTab)
  const page = () => Math.max(1, Math.floor((box.current?.clientHeight ?? 320) / height) - 2)
  useKeys({
    j: () => go(active + 1),
    k: () => go(active - 1),
    ArrowDown: () => go(active + 1),
    ArrowUp: () => go(active - 1),
    PageDown: () => go(active + page()),
    PageUp: () => go(active - page()),
    Home: () => go(0),
    End: () => go(rows.length - 1),
    Enter: () => open(false),
    o: () => open(false),
    'shift+Enter': () => open(true),
    ' ': () => rows[active] && p.pick?.(rows[active].original),
    ...(p.mark ? { x: () => rows[active] && p.mark?.(rows[active].original) } : {}),
  })
  const click = (i: number, e: React.MouseEvent) => {
    if ((e.target as HTMLElement).closest('a, button, input')) return
    setAt(i)
    if (e.type === 'dblclick') p.open?.(rows[i].original, false)
    else if (e.ctrlKey || e.metaKey) p.open?.(rows[i].original, true)
    else (p.pick ?? ((r: R) => p.open?.(r, false)))(rows[i].original)
  }
  const latest = useRef(click)
  useEffect(() => {
    latest.current = click
  })
  const onClick = useCallback((i: number, e: React.MouseEvent) => latest.current(i, e), [])

  const grid = visible.map((c) => (c.grow ? `minmax(${c.width}px, ${c.grow}fr)` : `${c.width}px`)).join(' ')
  return (
    <div className="fill">
      <div ref={box} className={rows.length ? 'vt' : 'vt bare'} role="grid" aria-label={p.label} aria-rowcount={rows.length + 1} tabIndex={0} aria-activedescendant={active >= 0 && items.some((v) => v.index === active) ? `${id}${active}` : undefined}>
        <div className="vt-in" role="presentation">
          <Head table={table} columns={visible} grid={grid} sorting={sorting} />
          <div className="vt-body" role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
            {items.map((v) => (
              <Row key={rows[v.index].id} id={id} index={v.index} data={rows[v.index].original} columns={visible as Column<unknown>[]} grid={grid} active={v.index === active} onClick={onClick} />
            ))}
          </div>
        </div>
      </div>
      {rows.length === 0 && <div className="vt-empty">{p.empty}</div>}
      <Foot all={p.rows.length} shown={rows.length} rows={() => rows.map((r) => r.original)} columns={p.columns} visible={visible} choose={(ids) => set({ cols: ids })} name={p.name} updatedAt={p.updatedAt}>
        {p.foot}
      </Foot>
    </div>
  )
}

type RowProps = { id: string; index: number; data: unknown; columns: Column<unknown>[]; grid: string; active: boolean; onClick: (i: number, e: React.MouseEvent) => void }

/** Drawn again only when its own data change: scrolling adds and drops rows, and touches no other. */
const Row = memo(function Row({ id, index, data, columns, grid, active, onClick }: RowProps) {
  const style: CSSProperties = { gridTemplateColumns: grid, position: 'absolute', insetInline: 0, transform: `translateY(${index * height}px)` }
  return (
    <div id={`${id}${index}`} role="row" aria-rowindex={index + 2} aria-selected={active} className="vt-row" style={style} onClick={(e) => onClick(index, e)} onDoubleClick={(e) => onClick(index, e)}>
      {columns.map((c) => (
        <div key={c.id} role="gridcell" className={'vt-cell' + (c.right ? ' num' : '')}>
          {c.render ? c.render(data) : c.value(data)}
        </div>
      ))}
    </div>
  )
})

type HeadProps<R> = { table: ReturnType<typeof useReactTable<R>>; columns: Column<R>[]; grid: string; sorting: SortingState }

function Head<R>({ table, columns, grid, sorting }: HeadProps<R>) {
  const t = useT()
  const direction = (id: string) => (sorting[0]?.id === id ? (sorting[0].desc ? 'descending' : 'ascending') : undefined)
  return (
    <div role="rowgroup" className="vt-head">
      <div role="row" className="vt-row" style={{ gridTemplateColumns: grid, height: 30 }} aria-rowindex={1}>
        {columns.map((c) => (
          <div key={c.id} role="columnheader" aria-sort={direction(c.id)} className={'vt-cell' + (c.right ? ' num' : '')}>
            {c.fixed ? (
              c.label
            ) : (
              <button type="button" className="cut" onClick={() => table.getColumn(c.id)?.toggleSorting()} title={c.label}>
                {c.label}
                {direction(c.id) && <span aria-label={direction(c.id) === 'descending' ? t.sortedDown : t.sortedUp} role="img">{direction(c.id) === 'descending' ? '↓' : '↑'}</span>}
              </button>
            )}
          </div>
        ))}
      </div>
    </div>
  )
}
