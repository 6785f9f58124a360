// The only bar: search, range, zone, live, language, theme.
import { Menu, useMantineColorScheme } from '@mantine/core'
import { useT } from '../i18n'
import { now, pause, resume, toggle, useLiveStatus } from './live'
import { prefs, usePrefs } from './prefs'
import { RangePicker } from './range-picker'
import { Search } from './search'
import { offsetName } from '../lib/time'

export function Bar({ help }: { help: () => void }) {
  const t = useT()
  return (
    <header className="bar">
      <Search />
      <RangePicker />
      <ZoneSwitch />
      <LiveSwitch />
      <LanguageSwitch />
      <ThemeSwitch />
      <button type="button" className="barbtn" onClick={help} aria-label={t.bar.keys} title={t.bar.keys}>
        <kbd>?</kbd>
      </button>
    </header>
  )
}

function ZoneSwitch() {
  const t = useT()
  const { zone } = usePrefs()
  const name = zone === 'utc' ? t.bar.utc : t.bar.local
  return (
    <button type="button" className="barbtn" data-test="zone" title={`${t.bar.zone}: ${t.bar.local} = ${offsetName(now())}`} aria-label={`${t.bar.zone}: ${name}`} onClick={() => prefs.set({ zone: zone === 'utc' ? 'local' : 'utc' })}>
      {name}
    </button>
  )
}

function LiveSwitch() {
  const t = useT()
  const status = useLiveStatus()
  const act = status === 'paused' ? t.bar.resume : t.bar.pause
  return (
    <button type="button" className="barbtn" data-test="live" title={`${act}. ${t.bar.liveHint}`} aria-label={`${t.bar[status]}. ${act}`} onClick={status === 'broken' ? () => (pause(), resume()) : toggle}>
      <i className={`dot ${status}`} aria-hidden="true" />
      {t.bar[status]}
    </button>
  )
}

function LanguageSwitch() {
  const t = useT()
  const { language } = usePrefs()
  return (
    <button type="button" className="barbtn" data-test="language" aria-label={`${t.bar.language}: ${language === 'zh' ? 'EN, English' : '中文'}`} onClick={() => prefs.set({ language: language === 'zh' ? 'en' : 'zh' })}>
      <span lang={language === 'zh' ? 'en' : 'zh-CN'}>{language === 'zh' ? 'EN' : '中文'}</span>
    </button>
  )
}

function ThemeSwitch() {
  const t = useT()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  return (
    <Menu position="bottom-end" shadow="md">
      <Menu.Target>
        <button type="button" className="barbtn" data-test="theme" aria-label={`${t.bar.theme}: ${t.bar[colorScheme]}`} title={t.bar.theme}>
          {t.bar[colorScheme]}
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        {(['light', 'dark', 'auto'] as const).map((s) => (
          <Menu.Item key={s} onClick={() => setColorScheme(s)} leftSection={<span style={{ width: 14, display: 'inline-block' }}>{s === colorScheme ? '✓' : ''}</span>}>
            {t.bar[s]}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
