package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"jiragate/gateway/admin"
	"jiragate/tokenstore"
)

// storeUse says what a command does where there is no store yet.
type storeUse int

const (
	existingStore storeUse = iota // the admin API answers that there is none
	freshStore                    // it is made
	noStore                       // none is needed, and none opened
)

// How long a command waits for another process to let go of the store, or for
// a gateway that is starting to answer, and how often it looks.
const (
	lockPatience = 5 * time.Second
	lockPause    = 50 * time.Millisecond
)

// session is the way of one command to the admin API: over the socket of the
// gateway that runs, or to the handler in this process.
type session struct {
	http  *http.Client
	close func() error
}

// openSession finds the way. Close the session when the command is done.
func (a *app) openSession(ctx context.Context, use storeUse) (*session, error) {
	deadline := time.Now().Add(lockPatience)
	for {
		if running, err := gatewayRuns(ctx, a.config.DataDir); err != nil {
			return nil, err
		} else if running {
			return socketSession(a.config.DataDir), nil
		}
		s, err := a.openLocal(ctx, use)
		switch {
		case err == nil:
			return s, nil
		case !errors.Is(err, tokenstore.ErrLocked):
			return nil, err
		case time.Now().After(deadline):
			return nil, hint(err, "another jiragate command may be at work in %s; try again when it has ended", a.config.DataDir)
		}
		// Another command has the store, or a gateway that is about to listen.
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockPause):
		}
	}
}

// gatewayRuns tells whether somebody listens at the admin socket of dir.
func gatewayRuns(ctx context.Context, dir string) (bool, error) {
	conn, err := dialSocket(ctx, dir)
	switch {
	case err == nil:
		return true, conn.Close()
	case errors.Is(err, errNoGateway):
		return false, nil
	}
	return false, fmt.Errorf("asking for a running gateway: %w", err)
}

func socketSession(dir string) *session {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialSocket(ctx, dir)
		},
		DisableCompression: true,
	}
	return newSession(transport, func() error {
		transport.CloseIdleConnections()
		return nil
	})
}

func newSession(t http.RoundTripper, closer func() error) *session {
	return &session{
		http: &http.Client{
			Transport:     t,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		close: closer,
	}
}

// openLocal serves the admin API in this process.
func (a *app) openLocal(ctx context.Context, use storeUse) (*session, error) {
	live, err := openPolicy(a.config.PolicyFile)
	if err != nil {
		return nil, err
	}
	there := true
	if use == existingStore {
		if there, err = a.config.storeThere(ctx); err != nil {
			return nil, err
		}
	}
	if use == noStore || use == existingStore && !there {
		o := adminOptions(a.config, live, nil)
		if o.Egress.Register, err = openRegister(a.config); err != nil {
			return nil, err
		}
		return a.localSession(o, func() error { return nil })
	}
	f, err := openFoundation(ctx, a.config, commandLockTimeout, a.logger(slog.LevelWarn))
	if err != nil {
		return nil, err
	}
	logger := a.logger(slog.LevelWarn)
	l := &local{config: a.config, foundation: f, policy: live, logger: logger, wayOut: sync.OnceValues(func() (*wayOut, error) {
		return openWayOut(a.config, f.register, nil, logger)
	})}
	s, err := a.localSession(l.options(), l.close)
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return s, nil
}

func (a *app) localSession(o admin.Options, closer func() error) (*session, error) {
	api, err := admin.New(o)
	if err != nil {
		return nil, err
	}
	handler := api.Local(func(*http.Request) admin.Actor { return processActor() })
	return newSession(inProcess{handler}, func() error {
		// An act outlives the command that is interrupted, and needs the store.
		return errors.Join(api.Wait(context.Background()), closer())
	}), nil
}

// withSession opens a session for the time of do. Where a gateway has ended before
// it could be asked anything, do is called again.
func (a *app) withSession(ctx context.Context, use storeUse, do func(*session) error) error {
	for deadline := time.Now().Add(lockPatience); ; {
		s, err := a.openSession(ctx, use)
		if err != nil {
			return err
		}
		err = errors.Join(do(s), s.close())
		if !errors.Is(err, errNoGateway) || time.Now().After(deadline) {
			return err
		}
	}
}

// call sends body, if there is one, and reads the answer into result, if there
// is one to be had. A refusal is an *admin.Problem.
func (s *session) call(ctx context.Context, method, path string, body []byte, result any) error {
	resp, err := s.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close() // read to its end or given up
	if result == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(result); err != nil {
		return fmt.Errorf("reading the answer of the admin API: %w", err)
	}
	return nil
}

// stream copies the answer to w. An answer that was cut short is an error.
func (s *session) stream(ctx context.Context, path string, w io.Writer) (int64, error) {
	resp, err := s.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() // read to its end or given up
	return io.Copy(w, resp.Body)
}

func (s *session) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://jiragate"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the admin API: %w", err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close() // given up
	problem := &admin.Problem{}
	if err := json.NewDecoder(resp.Body).Decode(problem); err != nil {
		problem = &admin.Problem{}
	}
	problem.Status = resp.StatusCode
	return nil, problem
}
