// Below a table: how many rows, how old, which columns, export of exactly what is shown.
import { Menu } from '@mantine/core'
import type { ReactNode } from 'react'
import { download } from '../app/say'
import { useT } from '../i18n'
import { count, csv } from '../lib/format'
import { Freshness } from './small'
import type { Column } from './table'

type Props<R> = { all: number; shown: number; rows: () => R[]; columns: Column<R>[]; visible: Column<R>[]; choose: (ids: string | undefined) => void; name: string; updatedAt?: number; children?: ReactNode }

export function Foot<R>(p: Props<R>) {
  const t = useT()
  return (
    <div className="vt-foot">
      <span>{p.shown === p.all ? t.rows(count(p.all)) : t.rowsOf(count(p.shown), count(p.all))}</span>
      {p.updatedAt !== undefined && <Freshness at={p.updatedAt} />}
      <span className="grow row">{p.children}</span>
      <ColumnMenu {...p} />
      <ExportMenu name={p.name} table={() => exported(p.rows(), p.visible)} />
    </div>
  )
}

export type Exported = { header: string[]; rows: (string | number)[][] }

const exported = <R,>(rows: R[], columns: Column<R>[]): Exported => ({ header: columns.map((c) => c.id), rows: rows.map((r) => columns.map((c) => c.value(r))) })

export function ExportMenu({ name, table }: { name: string; table: () => Exported }) {
  const t = useT()
  const asCsv = () => {
    const { header, rows } = table()
    download(`${name}.csv`, 'text/csv;charset=utf-8', '\ufeff' + csv([header, ...rows]))
  }
  const asJson = () => {
    const { header, rows } = table()
    const objects = rows.map((r) => Object.fromEntries(r.map((v, i) => [header[i], v])))
    download(`${name}.json`, 'application/json', JSON.stringify(objects, null, 2))
  }
  return (
    <Menu position="top-end" shadow="md">
      <Menu.Target>
        <button type="button" className="act quiet">{t.exportAs}</button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={asCsv}>CSV</Menu.Item>
        <Menu.Item onClick={asJson}>JSON</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}

function ColumnMenu<R>({ columns, visible, choose }: Props<R>) {
  const t = useT()
  const shown = visible.map((c) => c.id)
  const flip = (id: string) => {
    const ids = columns.map((c) => c.id).filter((x) => (x === id ? !shown.includes(id) : shown.includes(x)))
    const standard = columns.filter((c) => !c.hidden).map((c) => c.id)
    choose(ids.length === 0 || ids.join() === standard.join() ? undefined : ids.join())
  }
  return (
    <Menu position="top-end" shadow="md" closeOnItemClick={false}>
      <Menu.Target>
        <button type="button" className="act quiet">{t.columns}</button>
      </Menu.Target>
      <Menu.Dropdown mah={420} style={{ overflow: 'auto' }}>
        {columns.map((c) => (
          <Menu.Item key={c.id} onClick={() => flip(c.id)} leftSection={<span style={{ width: 14, display: 'inline-block' }}>{shown.includes(c.id) ? '✓' : ''}</span>}>
            {c.label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
