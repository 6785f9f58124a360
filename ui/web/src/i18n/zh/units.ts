// Units in a Chinese sentence: 4 min 12 s is 4 分 12 秒. ms and µs stay.
const words: [RegExp, string][] = [
  [/ d\b/g, ' 天'],
  [/ h\b/g, ' 小时'],
  [/ min\b/g, ' 分'],
  [/ s\b/g, ' 秒'],
]

export const cn = (d: string) => words.reduce((s, [unit, word]) => s.replace(unit, word), d)
