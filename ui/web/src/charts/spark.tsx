// A line without axes for a table's row. Its words are in the cell beside it.
export function Spark({ values, width = 96, height = 20, color = 'var(--h6)' }: { values?: number[]; width?: number; height?: number; color?: string }) {
  if (!values || values.length < 2) return null
  const top = Math.max(...values, 1e-9)
  const shown = values
  const x = (i: number) => (i / Math.max(1, shown.length - 1)) * (width - 2) + 1
  const y = (v: number) => height - 2 - (v / top) * (height - 4)
  const points = shown.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(' ')
  return (
    <svg width={width} height={height} aria-hidden="true" style={{ display: 'block' }}>
      <polyline points={points} fill="none" stroke={color} strokeWidth="1.3" strokeLinejoin="round" />
    </svg>
  )
}
