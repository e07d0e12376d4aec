package policy

import (
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"
)

const (
	// MaxBody bounds a request body, in bytes. Readers may stop at MaxBody+1.
	MaxBody = 1 << 20
	// MaxBodyDepth bounds how deep arrays and objects nest in a body. Rich text on
	// Cloud (Atlassian Document Format) takes four for each level of a nested list,
	// so there is room for a dozen levels.
	MaxBodyDepth = 64
)

// DecideBody decides about the body of a call that [Policy.Decide] has allowed
// as d, and returns d, perhaps made a denial, with the body to send.
//
// The body to send is serialised anew from what was parsed, so none of the
// client's own bytes leave: no insignificant space, every string escaped in the
// one way, numbers with the digits they had, an empty "update" left out. It is
// nil where the operation takes no body, whatever the client sent (client
// libraries send one on DELETE), and on every denial.
//
// contentType is the value of the Content-Type field, "" if there was none.
// DecideBody may be called from many goroutines.
func (p *Policy) DecideBody(d Decision, r Request, contentType string, body []byte) (rebuilt []byte, _ Decision) {
	if !d.Allowed() || d.op == nil {
		if d.Code == "" {
			d.deny(CodeOperationNotDocumented, "the call was not decided; only allowed calls have a body")
		}
		return nil, d
	}
	if d.op.Body != BodyIssue {
		return nil, d
	}
	switch {
	case len(body) == 0:
		d.deny(CodeBodyRequired, fmt.Sprintf("%s needs a body; send {\"fields\": {...}} as application/json", d.op.ID))
	case len(body) > MaxBody:
		d.deny(CodeBodyTooLarge, fmt.Sprintf("the body is over %d bytes", MaxBody))
	case !isJSON(contentType):
		d.deny(CodeContentTypeNotAllowed, fmt.Sprintf("the content type %s is not allowed; send application/json", quote(contentType)))
	case !utf8.Valid(body):
		d.deny(CodeBodyMalformed, "the body is not valid UTF-8")
	}
	if !d.Allowed() {
		return nil, d
	}
	issue := issueBody{json: jsonRewriter{in: body}}
	if err := issue.rewrite(); err != nil {
		d.deny(err.code, err.detail)
		return nil, d
	}
	for i := range p.rules {
		if ru := &p.rules[i]; ru.projects != nil && d.op.Projects == ProjectsBody && ru.applies(&r) {
			ru.limitBody(&d, issue.projects)
		}
	}
	if !d.Allowed() {
		return nil, d
	}
	return issue.json.out, d
}

// isJSON reports whether a Content-Type is application/json, in UTF-8 if it
// says so: RFC 8259 defines no parameters, but clients send that one.
func isJSON(contentType string) bool {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/json" {
		return false
	}
	charset, given := parameters["charset"]
	return len(parameters) == 0 || len(parameters) == 1 && given && strings.EqualFold(charset, "utf-8")
}

// issueBody reads the body of issue.create.
type issueBody struct {
	json     jsonRewriter
	projects []string // values of key and id in fields.project
}

// rewrite checks the body and leaves it rewritten in json.out. Member names are
// compared exactly, as Jira does.
func (b *issueBody) rewrite() *bodyError {
	fields := false
	err := b.json.document(func(name string) (keep bool, err *bodyError) {
		switch name {
		case "fields":
			if fields = true; !b.json.at('{') {
				return false, &bodyError{CodeBodyNotAllowed, `the member "fields" must be an object`}
			}
			return true, b.fields()
		case "update":
			if !b.json.at('{') {
				return false, &bodyError{CodeBodyNotAllowed, `the member "update" must be an empty object, or left out`}
			}
			return false, b.json.object(func(string) (bool, *bodyError) {
				return false, &bodyError{CodeBodyNotAllowed, `the member "update" must be empty; put values in "fields"`}
			})
		}
		return false, &bodyError{CodeBodyNotAllowed, fmt.Sprintf(`the member %s is not allowed; the body holds "fields" alone`, quote(name))}
	})
	if err == nil && !fields {
		err = &bodyError{CodeBodyNotAllowed, `the body lacks the member "fields"`}
	}
	return err
}

func (b *issueBody) fields() *bodyError {
	return b.json.object(func(name string) (bool, *bodyError) {
		if name == "project" && b.json.at('{') {
			return true, b.project()
		}
		return true, b.json.value()
	})
}

func (b *issueBody) project() *bodyError {
	return b.json.object(func(name string) (bool, *bodyError) {
		if name != "key" && name != "id" {
			return true, b.json.value()
		}
		text, err := b.json.scalar()
		b.projects = append(b.projects, text)
		return true, err
	})
}
