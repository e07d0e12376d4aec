package diagnosis

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// said is what the body of an answer says in its maker's own words.
type said struct {
	messages   []string
	collection bool // Jira's ErrorCollection, with a message in it
	cloudflare int  // the number of Cloudflare's error in JSON or plain text; 0: none
	page       page
}

// Bounds of what is taken for messages.
const (
	maxMessages = 16
	maxMessage  = 512 // bytes of a message; no known one is as long
)

var cloudflarePlain = regexp.MustCompile(`^error code: (1\d{3})$`)

func read(body []byte) said {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	switch {
	case len(body) == 0:
		return said{}
	case body[0] == '{':
		return readObject(body)
	case body[0] == '<':
		return said{page: readPage(body)}
	case len(body) > maxMessage:
		return said{}
	}
	text := string(body)
	s := said{messages: []string{text}}
	if m := cloudflarePlain.FindStringSubmatch(text); m != nil {
		s.cloudflare = number(m[1])
	}
	return s
}

// readObject reads the members of a JSON object in which Jira and what is around
// it put their messages: "errorMessages" of Jira's ErrorCollection, "message" of
// Atlassian's gateway and of Jira's filters, "errorMessage" of Atlassian's edge.
// An object that was cut is read as far as it goes.
func readObject(body []byte) said {
	var (
		s         said
		code      int
		fromFlare bool
	)
	d := json.NewDecoder(bytes.NewReader(body))
	if _, err := d.Token(); err != nil {
		return said{}
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			break
		}
		var (
			text string
			list []string
		)
		switch key {
		case "errorMessages":
			if json.Unmarshal(value, &list) == nil && len(list) > 0 {
				s.add(list...)
				s.collection = true
			}
		case "message", "errorMessage":
			if json.Unmarshal(value, &text) == nil {
				s.add(text)
			}
		case "error_code":
			_ = json.Unmarshal(value, &code) // of Cloudflare's it is a number
		case "cloudflare_error":
			_ = json.Unmarshal(value, &fromFlare)
		}
	}
	if fromFlare {
		s.cloudflare = code
	}
	return s
}

func (s *said) add(messages ...string) {
	for _, m := range messages {
		if m = strings.TrimSpace(m); len(m) <= maxMessage && len(s.messages) < maxMessages {
			s.messages = append(s.messages, m)
		}
	}
}

// quote is a whole message that says for certain what is the matter.
type quote struct {
	reason   Reason
	edition  Edition // "": both
	statuses []int   // none: every error
	text     *regexp.Regexp
}

// whole compiles an expression that a message must match from end to end.
func whole(expression string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(?:` + expression + `)$`)
}

// quotes are the messages that are known. None has room for what a client sent:
// where one names something, it is a host or it is made of letters and spaces.
// The sources are at the rows of the test.
var quotes = []quote{
	{IPRefused, Cloud, nil, whole(`the ip address has been rejected because it is not on the allowed ?list\.( see your admin for more information\.)?`)},
	{IPRefused, Cloud, nil, whole(`you don['’]t have permission to connect from this ip address\.?( please ask your admin for access\.)?`)},
	{ScopeRefused, Cloud, []int{401, 403}, whole(`unauthorized; scope does not match`)},
	{AppRefused, Cloud, []int{403}, whole(`the app is not installed on this instance\.?`)},
	{AppRefused, Cloud, []int{401, 403}, whole(`your site admin must authorize this app for the site [a-z0-9.-]{1,253} before the app can access your account\.`)},
	{SiteUnavailable, Cloud, []int{403, 404, 410, 503}, whole(`site temporarily unavailable\.?`)},
	{SiteUnavailable, DataCenter, []int{400, 403}, whole(`you will not be able to create new issues because (your jira evaluation period has expired|the user limit for your jira instance has been exceeded), please contact your jira administrators\.`)},
	{BasicAuthDisabled, DataCenter, []int{401, 403}, whole(`basic authentication has been disabled on this instance\.?`)},
	{PermissionRefused, "", []int{403}, whole(`you do not have (the )?permission to [a-z ]{3,80}\.?`)},
	{PermissionRefused, "", []int{403}, whole(`you are not authorized to perform this action\. administrator privileges are required\.`)},
	{PermissionRefused, "", []int{403}, whole(`current user not permitted to use jira\.?`)},
	{XSRFRefused, "", []int{403}, whole(`xsrf check failed\.?( more information at https://[a-z.]*confluence\.atlassian\.com/x/[a-z0-9]{1,20})?`)},
}

// quoted is the reason of the first quote that one of the messages is.
func (s said) quoted(edition Edition, status int) Reason {
	for _, q := range quotes {
		if q.edition != "" && q.edition != edition || q.statuses != nil && !slices.Contains(q.statuses, status) {
			continue
		}
		if slices.ContainsFunc(s.messages, q.text.MatchString) {
			return q.reason
		}
	}
	return ""
}
