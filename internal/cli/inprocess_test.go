package cli

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestInProcess(t *testing.T) {
	get := func(h http.HandlerFunc) (*http.Response, string, error) {
		t.Helper()
		client := &http.Client{Transport: inProcess{h}}
		resp, err := client.Post("http://jiragate/v1/x%2Fy?q=1", "application/json", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		return resp, string(b), errors.Join(err, resp.Body.Close())
	}

	resp, body, err := get(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.RequestURI+" "+r.Host+" "+string(b))
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK) // too late
		w.Header().Set("X-Late", "x")
		_, _ = io.WriteString(w, "hello")
	})
	if err != nil || resp.StatusCode != http.StatusTeapot || body != "hello" || resp.Header.Get("X-Late") != "" ||
		resp.Header.Get("X-Seen") != "POST /v1/x%2Fy?q=1 jiragate body" {
		t.Errorf("%v %v %q %v", resp.Status, resp.Header, body, err)
	}

	if resp, body, err = get(func(http.ResponseWriter, *http.Request) {}); err != nil || resp.StatusCode != 200 || body != "" {
		t.Errorf("silent handler: %v %q %v", resp.Status, body, err)
	}

	_, body, err = get(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	})
	if !errors.Is(err, errAborted) || body != "half" {
		t.Errorf("an answer that was cut short: %q, %v", body, err)
	}
}
