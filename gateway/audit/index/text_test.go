package index_test

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"jiragate/gateway/audit"
)

// TestFindsTextInEveryField: in those that the record has now, and in one that it may
// get.
func TestFindsTextInEveryField(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	secret := func() string { return randomHex(random, 16) }
	dir := logDir(t)
	r := audit.Record{Time: start}
	value := reflect.ValueOf(&r).Elem()
	var names, texts []string
	for i := range value.NumField() {
		switch name := value.Type().Field(i).Name; {
		case name == "Decision" || name == "Prev": // the first is one of two, the second the log's
			continue
		case value.Field(i).Kind() == reflect.String:
			text := secret()
			value.Field(i).SetString(text)
			names, texts = append(names, name), append(texts, text)
		case name == "QueryNames":
			r.QueryNames = []string{secret(), secret()}
			names, texts = append(names, name, name), append(texts, r.QueryNames...)
		}
	}
	if len(names) != 17 {
		t.Errorf("%d fields: %q", len(names), names)
	}
	writeLog(t, dir, r, big(start.Add(time.Hour), 0))
	x := open(t, dir)
	update(t, x)
	for i, text := range texts {
		if n := count(t, x.Query(t.Context(), audit.Filter{Text: text[5:25]})); n != 1 {
			t.Errorf("%s: %d answers", names[i], n)
		}
	}
}
