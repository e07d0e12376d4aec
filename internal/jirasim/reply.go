package jirasim

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
)

// obj is a JSON object under construction.
type obj = map[string]any

// reply is an answer before it meets the wire, and any faults on its way.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func jsonReply(status int, v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("jirasim: own data does not marshal: %v", err)) // obj of strings, numbers, slices only
	}
	return reply{status, http.Header{"Content-Type": {"application/json;charset=UTF-8"}}, body}
}

func htmlReply(status int, title, body string) reply {
	page := "<!DOCTYPE html>\n<html><head><title>" + html.EscapeString(title) + "</title></head><body>" + body + "</body></html>\n"
	return reply{status, http.Header{"Content-Type": {"text/html;charset=UTF-8"}}, []byte(page)}
}

// failure has the shape of Jira's ErrorCollection, with general messages.
func failure(status int, messages ...string) reply {
	return jsonReply(status, obj{"errorMessages": messages, "errors": obj{}})
}

// fieldFailure is an ErrorCollection that blames fields.
func fieldFailure(errors map[string]string) reply {
	return jsonReply(http.StatusBadRequest, obj{"errorMessages": []string{}, "errors": errors})
}

// oauthFailure has the shape of RFC 6749 section 5.2.
func oauthFailure(status int, code, description string) reply {
	return jsonReply(status, obj{"error": code, "error_description": description})
}

func redirectReply(status int, location string) reply {
	return reply{status: status, header: http.Header{"Location": {location}}}
}

// empty answers without a body.
func empty(status int) reply { return reply{status: status, header: http.Header{}} }

// gzipped encodes the body, if there is one.
func (p reply) gzipped() reply {
	if len(p.body) == 0 || p.header.Get("Content-Encoding") != "" {
		return p
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(p.body) // a bytes.Buffer does not fail
	_ = z.Close()
	p.header.Set("Content-Encoding", "gzip")
	p.body = b.Bytes()
	return p
}

// acceptsGzip says whether the client asked for gzip, as Jira reads it.
func acceptsGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, parameters, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q := strings.ReplaceAll(parameters, " ", "")
			return q != "q=0" && !strings.HasPrefix(q, "q=0.000")
		}
	}
	return false
}

// writeHead sends the status line and header, without a Content-Length of its own.
func (p reply) writeHead(w http.ResponseWriter) {
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.WriteHeader(p.status)
}

func (p reply) write(w http.ResponseWriter) {
	if p.status != http.StatusNoContent && p.status != http.StatusNotModified {
		p.header.Set("Content-Length", strconv.Itoa(len(p.body)))
	}
	p.writeHead(w)
	_, _ = w.Write(p.body) // the client may have left; the record says so
}
