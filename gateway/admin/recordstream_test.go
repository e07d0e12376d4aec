package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/audit"
	"jiragate/gateway/audit/activity"
)

// Records are sent as they are written, those that are asked for, with a sign of life
// every 15 seconds, until ten minutes are over or the gateway ends.
func TestRecordsAreStreamed(t *testing.T) {
	lab := newAuditLab(t)
	type one struct {
		r      audit.Record
		missed uint64
	}
	for _, tt := range []struct {
		name string
		end  func(*admin.API, context.CancelFunc)
		want time.Duration
	}{
		{"after ten minutes", func(*admin.API, context.CancelFunc) {}, 10 * time.Minute},
		{"when the gateway ends", func(a *admin.API, _ context.CancelFunc) { a.EndStreams(); a.EndStreams() }, time.Minute},
		{"when its reader goes", func(_ *admin.API, leave context.CancelFunc) { leave() }, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := make(chan one)
				o := lab.options
				o.Log.Watch = func(ctx context.Context) (iter.Seq2[audit.Record, uint64], error) {
					return func(yield func(audit.Record, uint64) bool) {
						for {
							select {
							case <-ctx.Done():
								return
							case x := <-source:
								if !yield(x.r, x.missed) {
									return
								}
							}
						}
					}, nil
				}
				api := newAPI(t, o)
				ctx, leave := context.WithCancel(admin.WithCaller(t.Context(), admin.Caller{Role: admin.RoleViewer}))
				defer leave()
				w := httptest.NewRecorder()
				begun, took := time.Now(), make(chan time.Duration, 1)
				go func() {
					described(t, api.InProcess()).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/v1/audit/records/stream?connection=acme&kind=call", nil))
					took <- time.Since(begun)
				}()
				a, b, c := aCall(1), aCall(2), aCall(3)
				a.Seq, b.Seq, c.Seq = 7, 8, 9
				b.Connection = "globex"
				source <- one{a, 0}
				source <- one{b, 3}
				source <- one{c, 0}
				time.Sleep(time.Minute)
				synctest.Wait()
				tt.end(api, leave)
				if d := <-took; d != tt.want {
					t.Errorf("it lasted %v, want %v", d, tt.want)
				}
				want := "event: record\nid: 7\ndata: " + string(a.Line()) + "\n\nevent: missed\ndata: {\"missed\":3}\n\nevent: record\nid: 9\ndata: " + string(c.Line()) + "\n\n"
				if _, got, _ := strings.Cut(w.Body.String(), "\n\n"); !strings.HasPrefix(got, want) || strings.Count(got, ": \n\n") < 3 || w.Header().Get("Content-Type") != "text/event-stream" {
					t.Errorf("%v sent\n%s", w.Header(), got)
				}
			})
		})
	}
}

func TestStreamsAreRefused(t *testing.T) {
	lab := newAuditLab(t)
	lab.options.Log.Watch = func(context.Context) (iter.Seq2[audit.Record, uint64], error) {
		return nil, errors.New("too many follow the records")
	}
	h := asRole(t, lab.options, admin.RoleViewer)
	status, body := call(t, h, "GET", "/v1/audit/records/stream", "")
	if wantCode(t, body, admin.CodeUnavailable); status != 503 || !strings.Contains(body, "too many") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := call(t, h, "GET", "/v1/audit/records/stream?since=1h", ""); status != 400 {
		t.Errorf("with a parameter that it hasn't: %d", status)
	}
}

func TestActivityIsAskedFor(t *testing.T) {
	var asked admin.ActivityRequest
	o := options(t, aStore(t))
	o.Now = func() time.Time { return labStart }
	o.Log.Activity = func(_ context.Context, q admin.ActivityRequest) (admin.Activity, error) {
		asked = q
		if q.Connection == "refused" {
			return admin.Activity{}, fmt.Errorf("%w: not so", activity.ErrWindow)
		}
		return admin.Activity{Series: &activity.Series{From: q.Since, Until: q.Until, StepSeconds: 60, Points: []activity.Point{}}}, nil
	}
	h := asRole(t, o, admin.RoleViewer)
	day := 24 * time.Hour
	for _, tt := range []struct {
		query  string
		status int
		want   admin.ActivityRequest
	}{
		{"", 200, admin.ActivityRequest{Since: labStart.Add(-day), Until: labStart, Step: 5 * time.Minute}},
		{"?since=1h&step=60&connection=acme", 200, admin.ActivityRequest{Since: labStart.Add(-time.Hour), Until: labStart, Step: time.Minute, Connection: "acme"}},
		{"?since=2025-11-01&until=2025-11-20&step=86400", 200, admin.ActivityRequest{Since: time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2025, 11, 20, 0, 0, 0, 0, time.UTC), Step: day}},
		{"?since=25h&step=60", 200, admin.ActivityRequest{Since: labStart.Add(-25 * time.Hour), Until: labStart, Step: time.Minute}},
		{"?since=25h1m&step=60", 400, admin.ActivityRequest{}}, // 1,501 points
		{"?since=0001-01-01", 400, admin.ActivityRequest{}},
		{"?step=59", 400, admin.ActivityRequest{}},
		{"?step=90", 400, admin.ActivityRequest{}},
		{"?step=86401", 400, admin.ActivityRequest{}},
		{"?step=5m", 400, admin.ActivityRequest{}},
		{"?since=1h&until=2h", 400, admin.ActivityRequest{}},
		{"?client=x", 400, admin.ActivityRequest{}},
	} {
		asked = admin.ActivityRequest{}
		status, body := call(t, h, "GET", "/v1/audit/activity"+tt.query, "")
		if status != tt.status || asked != tt.want {
			t.Errorf("%s: %d %s, asked %+v", tt.query, status, body, asked)
		}
		if status == 200 && !strings.Contains(body, `"refusals":[]`) {
			t.Errorf("%s: %s", tt.query, body)
		}
	}
	if status, body := call(t, h, "GET", "/v1/audit/activity?connection=refused", ""); status != 400 || !strings.Contains(body, "not so") {
		t.Errorf("%d %s", status, body)
	}
}

// The answers of a network face last longer than others, and a stream comes through
// piece by piece.
func TestStreamOverTheNetwork(t *testing.T) {
	lab := newAuditLab(t)
	source := make(chan audit.Record)
	lab.options.Log.Watch = func(ctx context.Context) (iter.Seq2[audit.Record, uint64], error) {
		return func(yield func(audit.Record, uint64) bool) {
			for {
				select {
				case <-ctx.Done():
					return
				case r := <-source:
					if !yield(r, 0) {
						return
					}
				}
			}
		}, nil
	}
	api := newAPI(t, lab.options)
	server := httptest.NewUnstartedServer(nil)
	server.Config = admin.NewServer(described(t, api.Local(operator)), discarded)
	server.Config.RegisterOnShutdown(api.EndStreams)
	server.Start()
	defer server.Close()
	// Whether there is one can be asked, too, and is answered at once.
	there, err := http.Head(server.URL + "/v1/audit/records/stream")
	if err != nil {
		t.Fatal(err)
	}
	there.Body.Close()
	if there.StatusCode != 200 || there.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %d %v", there.StatusCode, there.Header)
	}
	resp, err := http.Get(server.URL + "/v1/audit/records/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := aCall(1)
	r.Seq = 5
	source <- r
	want := "event: record\nid: 5\n"
	for got := ""; !strings.Contains(got, want); {
		buf := make([]byte, 4096)
		n, err := resp.Body.Read(buf)
		if got += string(buf[:n]); err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if err := server.Config.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
}

// A stream leaves out what the list of records does.
func TestStreamsAreFiltered(t *testing.T) {
	r := aCall(1)
	for query, sent := range map[string]bool{
		"operation=" + r.Operation: true, "operation=myself.nothing": false,
		fmt.Sprintf("status=%d", r.Status): true, "status=599": false,
		"text=" + strings.ToUpper(r.Operation): true, "text=nothing+like+it": false,
		"client=" + r.Client: true, "client=nobody": false,
		"decision=allow": true, "decision=deny": false, "code=not_granted": false, "kind=act": false, "status=": true,
	} {
		synctest.Test(t, func(t *testing.T) {
			o := newAuditLab(t).options
			o.Log.Watch = func(context.Context) (iter.Seq2[audit.Record, uint64], error) {
				return func(yield func(audit.Record, uint64) bool) { yield(r, 0) }, nil
			}
			_, body := call(t, asRole(t, o, admin.RoleViewer), "GET", "/v1/audit/records/stream?"+query, "")
			if got := strings.Contains(body, "event: record"); got != sent {
				t.Errorf("%s: sent %v", query, got)
			}
		})
	}
}
