// Line drawings of 18 px; each stands beside or above its word.
const paths = {
  overview: 'M3 12h3l2-6 3 10 2-6 1 2h3',
  messages: 'M3 5h14v10H3zM3 6l7 5 7-5',
  topics: 'M4 5h12M4 10h12M4 15h8',
  groups: 'M7 9a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM2.5 16c0-3 2-4.5 4.5-4.5s4.5 1.5 4.5 4.5M13 9a2 2 0 1 0 0-4M14 11.5c2 .2 3.500 1.700 3.500 4.500',
  scheduled: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 6v4l3 2',
  transactions: 'M4 7h11l-3-3M16 13H5l3 3',
  dead: 'M4 4l12 12M16 4L4 16',
  clients: 'M3 4h14v9H3zM7 17h6M10 13v4',
  wide: 'M8 5l5 5-5 5',
  narrow: 'M12 5l-5 5 5 5',
  copy: 'M7 7h9v9H7zM4 13V4h9',
  search: 'M9 14A5 5 0 1 0 9 4a5 5 0 0 0 0 10zM13 13l4 4',
  back: 'M12 5l-5 5 5 5',
  down: 'M5 8l5 5 5-5',
}

export type IconName = keyof typeof paths

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  )
}

export function Brand() {
  return (
    <svg width="22" height="22" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="2" aria-hidden="true">
      <path d="M12 2.500 21.500 12 12 21.500 2.500 12Z" strokeLinejoin="round" />
      <path d="M7 12h6" strokeLinecap="round" />
      <circle cx="16.200" cy="12" r="1.300" fill="currentColor" stroke="none" />
    </svg>
  )
}
