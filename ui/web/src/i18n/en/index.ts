import { common } from './common'
import { happenings } from './happenings'
import { acts, clone, dead, heads, reset, running, scheduled, transactions, verify } from './later'
import { life, messages } from './messages'
import { clients, groups, kinds, overview, topics } from './pages'

export const en = { ...common, overview, kinds, happenings, topics, groups, clients, messages, life, scheduled, dead, acts, reset, clone, transactions, verify, running, heads }
