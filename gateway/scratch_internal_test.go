package gateway

import (
	"net/http"
	"testing"
)

// A call that uses the memory of another one finds nothing of it there. Of a request that
// may still be read by somebody, it doesn't get the memory at all.
func TestScratchIsEmpty(t *testing.T) {
	for name, tt := range map[string]struct {
		answer  *http.Response
		sockets int
		again   bool
	}{
		"answered over HTTP/1.1":              {&http.Response{ProtoMajor: 1}, 1, true},
		"answered over HTTP/2":                {&http.Response{ProtoMajor: 2}, 1, false},
		"sent before, answered over HTTP/1.1": {&http.Response{ProtoMajor: 1}, 2, false},
		"without an answer":                   {nil, 1, false},
	} {
		s := newScratch(nil, nil)
		s.fields = fields{} // whoever had it before
		c := &s.call
		c.fields = fields{}
		c.fields.set("Authorization", "Basic c2VjcmV0")
		sent, values := c.fields.header, c.fields.values
		c.returned()["Etag"] = []string{"a"}
		if again := c.returned(); len(again) > 0 {
			t.Errorf("%s: the header of a second answer begins with %v", name, again)
		}
		c.returned()["Etag"] = []string{"a"}
		c.secrets.add("secret")
		c.answer.response, c.sockets = tt.answer, tt.sockets
		s.free()
		if s.fields.header != nil != tt.again || len(s.fields.header)+len(s.fields.values)+len(s.returned)+len(s.hidden.entries) > 0 {
			t.Errorf("%s: the next call gets %v and %v", name, s.fields, s.returned)
		}
		if kept := values[0] != "" && len(sent) == 1; kept == tt.again {
			t.Errorf("%s: left of the request: %v, %v", name, sent, values)
		}
	}
}
