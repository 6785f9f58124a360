// ?: the list of keys, in a panel that hides nothing.
import { Drawer } from '@mantine/core'
import { useT } from '../i18n'

export function Help({ close }: { close: () => void }) {
  const t = useT()
  const k = t.keys
  const parts: [string, [string[], string][]][] = [
    [k.everywhere, [[['/'], k.search], [['Ctrl', 'K'], k.palette], [['?'], k.help], [['g', 'o'], k.overview], [['g', 'm'], k.messages], [['g', 's'], k.scheduled], [['g', 'x'], k.transactions], [['g', 'd'], k.dead], [['g', 't'], k.topics], [['g', 'c'], k.groups], [['g', 'p'], k.clients], [['Esc'], k.esc]]],
    [k.lists, [[['j'], k.next], [['k'], k.previous], [['Enter'], k.openRow], [['Shift', 'Enter'], k.openNew], [['x'], k.choose], [['n', 'p'], k.step]]],
    [k.time, [[['[', ']'], k.window], [['=', '-'], k.zoom], [['r'], k.refresh], [['R'], k.live], [['y'], k.link], [['Y'], k.linkFixed], [['u'], k.utc]]],
  ]
  return (
    <Drawer opened onClose={close} position="right" title={k.title} size={340} overlayProps={{ backgroundOpacity: 0.15 }} transitionProps={{ duration: 0 }} closeButtonProps={{ 'aria-label': t.close }}>
      {parts.map(([title, keys]) => (
        <section key={title} style={{ marginBottom: 16 }}>
          <h2>{title}</h2>
          <dl className="facts" style={{ marginTop: 6 }}>
            {keys.map(([ks, words]) => (
              <div key={words} style={{ display: 'contents' }}>
                <dt style={{ minWidth: 90 }}>{ks.map((x) => <kbd key={x} style={{ marginRight: 4 }}>{x}</kbd>)}</dt>
                <dd>{words}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Drawer>
  )
}
