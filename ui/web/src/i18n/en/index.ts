import { common } from './common'
import { life, messages } from './messages'
import { clients, groups, kinds, overview, topics } from './pages'

export const en = { ...common, overview, kinds, topics, groups, clients, messages, life }
