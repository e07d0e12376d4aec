package gateway

import (
	"cmp"
	"slices"

	"jiragate/policy"
)

// CodeMeaning is what a reason code stands for.
type CodeMeaning struct {
	Code   Code
	Status int    // HTTP, the usual one; 0 where the client gets no answer
	Title  string // as problem documents have it
	// Detail is a sentence or two about a code of the policy; or empty.
	Detail string
}

// Codes lists every code that a call record or a refusal can have, those of the policy
// included, sorted by code.
func Codes() []CodeMeaning {
	var all []CodeMeaning
	for code, m := range meanings {
		all = append(all, CodeMeaning{Code: code, Status: m.status, Title: m.title})
	}
	for _, p := range policy.Codes() {
		code := Code(p.Code)
		i := slices.IndexFunc(all, func(c CodeMeaning) bool { return c.Code == code })
		if i < 0 {
			i = len(all)
			m := code.meaning()
			all = append(all, CodeMeaning{Code: code, Status: m.status, Title: m.title})
		}
		all[i].Detail = p.Meaning
	}
	slices.SortFunc(all, func(a, b CodeMeaning) int { return cmp.Compare(a.Code, b.Code) })
	return all
}
