package policy

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// path is the recorded one with identifiers in the place of those that are missing.
func (s *supposition) path(r *Request, against doubt) string {
	if s.recorded.wholePath() {
		return s.recorded.Path
	}
	segments := strings.Split(s.recorded.Path, "/")[1:]
	if len(segments) != len(s.op.segments) {
		return s.recorded.Path
	}
	for i, segment := range segments {
		if kind := s.op.segments[i].parameter; kind != "" && missing(segment) {
			if segments[i] = s.name(r, kind.names(), against.about == aboutIdentifier); segments[i] == "" {
				segments[i] = someID
			}
		}
	}
	return "/" + strings.Join(segments, "/")
}

// query gives each recorded name a value. It fails for a name that the operation
// doesn't have.
func (s *supposition) query(r *Request, against doubt) (raw string, ok bool) {
	var b strings.Builder
	for i, name := range s.recorded.QueryNames {
		q := s.op.parameter(name)
		if q == nil {
			return "", false
		}
		value := s.name(r, q.names, against.about == aboutValue)
		if value == "" {
			value = s.value(q, against)
		}
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(value))
	}
	return b.String(), true
}

// value is one that the parameter takes. It meets the condition of the call's own
// operation, if that has one, and no other but that of the doubt.
func (s *supposition) value(q *QueryParameter, against doubt) string {
	var value string // the empty text is as good as any other
	switch q.Type {
	case TypeInteger:
		value = "0"
	case TypeBoolean:
		value = "true"
	case TypeChoice, TypeList:
		for _, v := range q.Values {
			if value = v; !s.conditional(q.Name, v) {
				break
			}
		}
	}
	if s.op.when.parameter == q.Name {
		value = s.op.when.contains
	}
	if against.about == aboutCondition && against.condition.when.parameter == q.Name {
		value += "," + against.condition.when.contains
	}
	return value
}

// conditional reports whether an operation of the route is meant by that value.
func (s *supposition) conditional(parameter, value string) bool {
	return slices.ContainsFunc(s.found.operations, func(o *operation) bool {
		return o.when == condition{parameter, value}
	})
}

// body is one that the call may have had. That of a call whose rules were not
// satisfied has not been looked at: it may be at fault.
func (s *supposition) body(r *Request, against doubt) []byte {
	switch {
	case against.about != aboutBody:
		return []byte(`{"fields":{"project":{"key":"` + s.name(r, referenceProject, false) + `"}}}`)
	case s.reached == stageRules:
		return nil
	}
	return []byte(`{"fields":{}}`)
}

const (
	someProject = "ZZ"
	someID      = "1"
)

// name makes up what a value may name: a project, or an issue of one, that as many
// limits as possible let pass, or that none does; "" where it names nothing.
func (s *supposition) name(r *Request, names reference, outside bool) string {
	switch {
	case names == referenceProject && outside:
		return s.p.outsider(r)
	case names == referenceProject:
		return s.p.insider(r, func(string) bool { return true })
	case names == referenceIssue && outside:
		return someID // which does not tell its project
	case names == referenceIssue:
		return s.p.insider(r, isProjectKey) + "-1"
	}
	return ""
}

// limits are the rules that limit the projects of the call.
func (p *Policy) limits(r *Request) []*rule {
	var list []*rule
	for i := range p.rules {
		if ru := &p.rules[i]; ru.projects != nil && ru.mode == ModeEnforce && ru.applies(r) {
			list = append(list, ru)
		}
	}
	return list
}

// insider returns a project that fits and passes all limits of the call; if there
// is none, one that passes the first of them, if any that fits does. The rule that
// refuses such a project is another than the one that refuses an outsider, so that
// neither is told.
func (p *Policy) insider(r *Request, fits func(string) bool) string {
	limits := p.limits(r)
	if len(limits) == 0 {
		return someProject
	}
	best := someProject
	for _, project := range limits[0].projects {
		if !fits(project) {
			continue
		}
		best = project
		if !slices.ContainsFunc(limits[1:], func(ru *rule) bool { return !slices.Contains(ru.projects, project) }) {
			break
		}
	}
	return best
}

// outsider returns a project that no limit of the call lets pass.
func (p *Policy) outsider(r *Request) string {
	limits := p.limits(r)
	for n := 1; ; n++ {
		id := strconv.Itoa(n)
		if !slices.ContainsFunc(limits, func(ru *rule) bool { return slices.Contains(ru.projects, id) }) {
			return id
		}
	}
}
