package activity

import "strings"

// other stands for the names for which there was no room.
const other = "other"

// names gives names small numbers, to a bounded number of them. 0 is other.
type names struct {
	limit   int
	numbers map[string]uint16
	texts   []string
}

func newNames(limit int) *names {
	return &names{limit: limit, numbers: make(map[string]uint16), texts: []string{other}}
}

func (n *names) number(text string) uint16 {
	if i, ok := n.numbers[text]; ok {
		return i
	}
	if len(n.numbers) == n.limit {
		return 0
	}
	text = strings.Clone(text) // it may be part of a line
	i := uint16(len(n.texts))
	n.numbers[text], n.texts = i, append(n.texts, text)
	return i
}

func (n *names) text(i uint16) string { return n.texts[i] }
