package privacy

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzParse: what is read is written again as the same file.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"created":"2026-11-23T10:00:00Z","sealed":"AQIDBAU="}`))
	f.Add([]byte("{\n  \"version\": 1,\n  \"created\": \"2026-11-23T10:00:00+01:00\",\n  \"sealed\": \"AQ==\"\n}\n"))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		e, err := parse(content)
		if err != nil {
			return
		}
		written, err := encode(e)
		if err != nil {
			t.Fatal(err)
		}
		var got, want bytes.Buffer
		if json.Compact(&got, content) != nil || json.Compact(&want, written) != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Fatalf("%s became %s", content, written)
		}
	})
}
