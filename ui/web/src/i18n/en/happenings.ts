// The broker's own words of what happened; those of a newer broker stand as they come.
export const happenings: Record<string, string> = {
  'a consumer joined': 'a consumer joined',
  'a consumer left: its connection closed': 'a consumer left: its connection closed',
  'a consumer left: it unregistered': 'a consumer left: it unregistered',
  'a consumer left: no heartbeat for 120 s': 'a consumer left: no heartbeat for 120 s',
  'topic created or changed': 'topic created or changed',
  'topic deleted': 'topic deleted',
  'group created or changed': 'group created or changed',
  'group deleted': 'group deleted',
  'its connection closed': 'its connection closed',
}
